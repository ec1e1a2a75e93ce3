-- A small day of a fleet manager: what its real schema has of kinds, in a few tables.
SET NAMES utf8mb4;

CREATE TABLE drivers (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(120) NOT NULL,
    licence ENUM('B', 'C', 'CE') NOT NULL DEFAULT 'B',
    notes TEXT,
    photo BLOB,
    FULLTEXT KEY drivers_notes (notes)
);

CREATE TABLE vehicles (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    plate VARCHAR(16) NOT NULL UNIQUE,
    driver_id INT UNSIGNED,
    capacity_kg DECIMAL(8, 2) NOT NULL,
    flags BIT(8) NOT NULL DEFAULT b'00000001',
    position POINT NOT NULL,
    SPATIAL KEY vehicles_position (position),
    CONSTRAINT vehicles_driver FOREIGN KEY (driver_id) REFERENCES drivers (id) ON DELETE SET NULL
);

CREATE TABLE orders (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer VARCHAR(120) NOT NULL,
    vehicle_id INT UNSIGNED,
    weight_kg DECIMAL(8, 2) NOT NULL,
    price_cents INT NOT NULL,
    price DECIMAL(12, 2) GENERATED ALWAYS AS (price_cents / 100) STORED,
    details JSON,
    placed_at DATETIME(3) NOT NULL,
    KEY orders_placed (placed_at),
    CONSTRAINT orders_vehicle FOREIGN KEY (vehicle_id) REFERENCES vehicles (id)
) AUTO_INCREMENT = 1001;

CREATE TABLE order_log (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id INT UNSIGNED NOT NULL,
    what VARCHAR(40) NOT NULL,
    KEY order_log_order (order_id)
);

CREATE TRIGGER orders_are_logged AFTER INSERT ON orders
    FOR EACH ROW INSERT INTO order_log (order_id, what) VALUES (NEW.id, 'placed');

INSERT INTO drivers (name, licence, notes, photo) VALUES
    ('Ayşe Yılmaz', 'CE', 'knows the night route; likes 🚚 and 🌙', x'ffd8ffe000104a464946000102030405'),
    ('Jürgen Groß', 'C', 'says "don''t ring", back\\slash, 100 %', x'00ff00ff275c0a0d1a'),
    ('李小龙', 'B', NULL, NULL);

INSERT INTO vehicles (plate, driver_id, capacity_kg, flags, position) VALUES
    ('B-FL 1001', 1, 7500.00, b'10000001', ST_GeomFromText('POINT(13.40 52.52)')),
    ('B-FL 1002', 2, 3500.50, b'00000000', ST_GeomFromText('POINT(13.45 52.50)')),
    ('B-FL 1003', NULL, 18000.00, b'11111111', ST_GeomFromText('POINT(9.99 53.55)'));

INSERT INTO orders (customer, vehicle_id, weight_kg, price_cents, details, placed_at)
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 500)
    SELECT CONCAT('customer ', n), 1 + n % 3, 10 + n / 4, 1999 + 7 * n, JSON_OBJECT('n', n, 'fragile', n % 2 = 0),
        TIMESTAMP('2026-11-19 06:00:00') + INTERVAL n MINUTE
    FROM number;

CREATE VIEW open_orders AS SELECT id, customer, price FROM orders WHERE vehicle_id IS NOT NULL;
CREATE VIEW open_value AS SELECT COUNT(*) AS orders, SUM(price) AS value FROM open_orders;

CREATE FUNCTION gross(net DECIMAL(12, 2)) RETURNS DECIMAL(12, 2) DETERMINISTIC NO SQL RETURN ROUND(net * 1.19, 2);

CREATE EVENT forget_old_logs ON SCHEDULE EVERY 1 DAY STARTS '2026-11-21 03:00:00'
    DO DELETE FROM order_log WHERE id < 0;

DELIMITER //
CREATE PROCEDURE assign_vehicle(IN the_order INT UNSIGNED, IN the_vehicle INT UNSIGNED)
BEGIN
    UPDATE orders SET vehicle_id = the_vehicle WHERE id = the_order;
    INSERT INTO order_log (order_id, what) VALUES (the_order, 'assigned; by hand');
END//
DELIMITER ;
