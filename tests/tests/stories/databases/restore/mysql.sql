-- Whatever a schema of the MySQL family can have that does not come along with its rows by itself.
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
CREATE USER 'keeper'@'%' IDENTIFIED BY 'k';
GRANT ALL ON *.* TO 'keeper'@'%';

CREATE TABLE customers (
    id INT AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    kind ENUM('private', 'trade', 'städtisch') NOT NULL DEFAULT 'private',
    flags SET('a', 'b', 'c'),
    details JSON,
    photo BLOB,
    bits BIT(12),
    place POINT NOT NULL,
    price DECIMAL(12, 3),
    doubled DECIMAL(12, 3) GENERATED ALWAYS AS (price * 2) STORED,
    shout VARCHAR(100) GENERATED ALWAYS AS (UPPER(name)) VIRTUAL,
    about TEXT,
    since DATETIME(6),
    CHECK (price >= 0),
    SPATIAL INDEX (place),
    FULLTEXT INDEX (about),
    UNIQUE (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='who buys; `quoted`, ''quoted''';

CREATE TABLE `order lines; no, "orders"` (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    customer INT NOT NULL,
    parent BIGINT UNSIGNED,
    note VARCHAR(200),
    CONSTRAINT `of customer` FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT `of parent` FOREIGN KEY (parent) REFERENCES `order lines; no, "orders"` (id)
) ENGINE=InnoDB;

CREATE TABLE parted (id INT, at DATE) PARTITION BY RANGE (YEAR(at))
    (PARTITION p0 VALUES LESS THAN (2026), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE latin (t VARCHAR(20)) DEFAULT CHARSET=latin1;
CREATE TABLE `größe` (`straße` VARCHAR(20));
CREATE TABLE empty_one (id INT);
CREATE TABLE audit (what VARCHAR(200), at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE beats (n BIGINT);
INSERT INTO beats VALUES (0);

DELIMITER //
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC SQL SECURITY INVOKER COMMENT 'doubles; says so'
BEGIN
    -- a comment; with a semicolon
    RETURN x * 2;
END//
CREATE DEFINER='keeper'@'%' PROCEDURE note_it(IN what VARCHAR(200))
BEGIN
    INSERT INTO audit (what) VALUES (CONCAT('🚚 ', what, ' -- ''; "'));
END//
CREATE TRIGGER customers_before BEFORE INSERT ON customers FOR EACH ROW SET NEW.about = COALESCE(NEW.about, 'ünknown')//
CREATE DEFINER='keeper'@'%' TRIGGER customers_after AFTER INSERT ON customers FOR EACH ROW
BEGIN
    CALL note_it(CONCAT('customer ', NEW.name));
END//
CREATE TRIGGER customers_second AFTER INSERT ON customers FOR EACH ROW FOLLOWS customers_after
    INSERT INTO audit (what) VALUES ('second')//
CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 03:00:00' COMMENT 'at night' DO DELETE FROM audit WHERE at < NOW() - INTERVAL 1 YEAR//
CREATE DEFINER='keeper'@'%' EVENT once ON SCHEDULE AT '2037-01-01 00:00:00' DISABLE DO BEGIN SELECT 1; SELECT 2; END//
DELIMITER ;

SET NAMES latin1;
CREATE FUNCTION old_client() RETURNS VARCHAR(20) CHARSET latin1 DETERMINISTIC RETURN 'x';
SET NAMES utf8mb4;

CREATE VIEW b_lines AS SELECT l.id, c.shout, twice(c.id) AS d FROM `order lines; no, "orders"` l JOIN customers c ON c.id = l.customer;
CREATE DEFINER='keeper'@'%' SQL SECURITY DEFINER VIEW a_top AS SELECT d, COUNT(*) AS n FROM b_lines GROUP BY d;
CREATE ALGORITHM=MERGE VIEW checked AS SELECT * FROM empty_one WHERE id > 5 WITH CASCADED CHECK OPTION;

INSERT INTO customers (name, kind, flags, details, photo, bits, place, price, since) VALUES
    ('Größe & Söhne 🚚', 'städtisch', 'a,c', '{"a": [1, "🎉", null]}', X'00FF5C270A0D1A', b'101010101010', ST_GeomFromText('POINT(9.99 53.55)'), 12.345, '2026-11-20 10:11:12.123456'),
    ('back\\slash ''quote'' "double"\ttab\nline', 'trade', NULL, NULL, NULL, NULL, ST_GeomFromText('POINT(0 0)'), 0, NULL);
INSERT INTO `order lines; no, "orders"` (customer, parent, note) VALUES (1, NULL, 'first'), (2, 1, ''), (1, 2, NULL);
INSERT INTO parted VALUES (1, '2025-05-05'), (2, '2026-05-05');
INSERT INTO latin VALUES ('Größe');
INSERT INTO `größe` VALUES ('x');
