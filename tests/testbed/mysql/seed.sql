-- A small day of a shop: what MySQL has of its own, in a few tables.
SET NAMES utf8mb4;

CREATE TABLE products (
    id BINARY(16) NOT NULL DEFAULT (UUID_TO_BIN(UUID(), 1)) PRIMARY KEY,
    name VARCHAR(120) NOT NULL COLLATE utf8mb4_0900_ai_ci,
    attributes JSON,
    colour VARCHAR(20) AS (attributes ->> '$.colour') VIRTUAL,
    secret_margin INT DEFAULT 7 INVISIBLE,
    place POINT SRID 4326 NOT NULL,
    picture LONGBLOB,
    SPATIAL KEY products_place (place),
    KEY products_lower_name ((LOWER(name))),
    KEY products_tags ((CAST(attributes -> '$.tags' AS UNSIGNED ARRAY)))
);

CREATE TABLE orders (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    placed_at DATE NOT NULL,
    state ENUM('open', 'paid', 'über 🎉') NOT NULL DEFAULT 'open',
    flags BIT(3) NOT NULL DEFAULT b'101',
    price_cents INT NOT NULL CHECK (price_cents >= 0),
    price DECIMAL(12, 2) GENERATED ALWAYS AS (price_cents / 100) STORED,
    remark TEXT,
    PRIMARY KEY (id, placed_at)
) PARTITION BY RANGE (YEAR(placed_at)) (
    PARTITION until_2025 VALUES LESS THAN (2026),
    PARTITION since_2026 VALUES LESS THAN MAXVALUE
);

CREATE TABLE order_log (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id INT UNSIGNED NOT NULL,
    what VARCHAR(40) NOT NULL
);

CREATE TRIGGER orders_are_logged AFTER INSERT ON orders
    FOR EACH ROW INSERT INTO order_log (order_id, what) VALUES (NEW.id, 'placed');

INSERT INTO products (name, attributes, place, picture) VALUES
    ('Kühlbox 🧊', '{"colour": "blue", "tags": [1, 2]}', ST_GeomFromText('POINT(52.52 13.40)', 4326), x'ffd8ffe0001027005c0a'),
    ('it''s a \\ trap', '{"colour": "red", "tags": [3]}', ST_GeomFromText('POINT(53.55 9.99)', 4326), NULL);

INSERT INTO orders (placed_at, state, price_cents, remark)
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 500)
    SELECT DATE('2025-06-01') + INTERVAL n DAY, 1 + n % 3, 199 + n, IF(n % 5 = 0, CONCAT('remark ', n, ' 🚚'), NULL) FROM number;

CREATE VIEW paid_orders AS SELECT id, price FROM orders WHERE state = 'paid';
CREATE VIEW paid_value AS SELECT COUNT(*) AS orders, SUM(price) AS value FROM paid_orders;

CREATE FUNCTION gross(net DECIMAL(12, 2)) RETURNS DECIMAL(12, 2) DETERMINISTIC NO SQL RETURN ROUND(net * 1.19, 2);

CREATE EVENT forget_old_logs ON SCHEDULE EVERY 1 DAY STARTS '2026-11-21 03:00:00'
    DO DELETE FROM order_log WHERE id < 0;

DELIMITER //
CREATE PROCEDURE pay(IN the_order INT UNSIGNED)
BEGIN
    UPDATE orders SET state = 'paid' WHERE id = the_order;
    INSERT INTO order_log (order_id, what) VALUES (the_order, 'paid; by hand');
END//
DELIMITER ;
