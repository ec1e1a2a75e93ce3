-- The database of `scripts/bench database`: about 300 MB as a dump, the same rows every time. Rows, text and numbers come from
-- a hash of their own number: they look like an application's, and compress like it.
SET SESSION group_concat_max_len = 1048576, sql_log_bin = 0;

CREATE TABLE customers (
    id INT UNSIGNED NOT NULL PRIMARY KEY,
    name VARCHAR(80) NOT NULL,
    email VARCHAR(120) NOT NULL,
    settings JSON NOT NULL,
    created_at DATETIME NOT NULL,
    UNIQUE KEY customers_email (email)
) COMMENT 'whom we drive for';

CREATE TABLE orders (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id INT UNSIGNED NOT NULL,
    number CHAR(12) NOT NULL,
    state ENUM('new', 'planned', 'driving', 'delivered', 'cancelled') NOT NULL,
    total DECIMAL(12, 2) NOT NULL,
    notes TEXT,
    address JSON NOT NULL,
    ordered_at DATETIME NOT NULL,
    delivered_at DATETIME(3) NULL,
    UNIQUE KEY orders_number (number),
    KEY orders_by_customer (customer_id, ordered_at),
    KEY orders_by_state (state, delivered_at),
    CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);

CREATE TABLE positions (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    vehicle_id SMALLINT UNSIGNED NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    latitude DECIMAL(9, 6) NOT NULL,
    longitude DECIMAL(9, 6) NOT NULL,
    speed FLOAT NOT NULL,
    KEY positions_by_vehicle (vehicle_id, seen_at)
);

CREATE TABLE audit_log (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id INT UNSIGNED NOT NULL,
    action VARCHAR(40) NOT NULL,
    subject VARCHAR(60) NOT NULL,
    old_values JSON NULL,
    new_values JSON NULL,
    address VARBINARY(16) NOT NULL,
    agent VARCHAR(160) NOT NULL,
    created_at DATETIME NOT NULL,
    KEY audit_log_by_user (user_id, created_at)
);

CREATE TABLE documents (
    id INT UNSIGNED NOT NULL PRIMARY KEY,
    order_id BIGINT UNSIGNED NOT NULL,
    title VARCHAR(100) NOT NULL,
    content LONGBLOB NOT NULL,
    KEY documents_by_order (order_id)
);

INSERT INTO customers
SELECT seq, CONCAT(ELT(1 + CRC32(seq) % 8, 'Nordsee', 'Alpen', 'Rhein', 'Weser', 'Spree', 'Ostsee', 'Harz', 'Elbe'), ' ',
        ELT(1 + CRC32(seq * 7) % 6, 'Logistik', 'Handel', 'Bau', 'Frische', 'Möbel', 'Technik'), ' ', seq),
    CONCAT('office-', seq, '@', ELT(1 + CRC32(seq * 3) % 4, 'example.org', 'example.com', 'example.net', 'mail.example'), ''),
    JSON_OBJECT('language', ELT(1 + seq % 3, 'de', 'en', 'pl'), 'invoice_by', ELT(1 + seq % 2, 'mail', 'letter'), 'limit', CRC32(seq) % 90000),
    '2019-01-01' + INTERVAL CRC32(seq) % 160000000 SECOND
FROM seq_1_to_20000;

-- Words that a hash chooses: enough of them that no compressor has an easy day.
CREATE FUNCTION words(seed BIGINT, many INT) RETURNS TEXT DETERMINISTIC RETURN (
    SELECT GROUP_CONCAT(ELT(1 + CRC32(CONCAT(seed, ':', seq)) % 40,
        'delivered', 'to', 'the', 'rear', 'entrance', 'driver', 'waited', 'minutes', 'gate', 'closed', 'call', 'before',
        'arrival', 'pallet', 'damaged', 'on', 'one', 'side', 'photo', 'attached', 'customer', 'asks', 'for', 'a', 'new',
        'date', 'in', 'week', 'signed', 'by', 'warehouse', 'cold', 'chain', 'unbroken', 'at', 'degrees', 'weight', 'differs',
        'from', CRC32(CONCAT(seq, ':', seed)) % 1000) ORDER BY seq SEPARATOR ' ')
    FROM seq_1_to_100 WHERE seq <= many);

INSERT INTO orders
SELECT seq, 1 + CRC32(seq) % 20000, CONCAT('FB-', LPAD(seq, 9, '0')), 1 + CRC32(seq * 11) % 5, CRC32(seq * 5) % 1000000 / 100,
    words(seq, CRC32(seq) % 40),
    JSON_OBJECT('street', CONCAT(words(seq * 3, 2), ' ', CRC32(seq) % 200), 'zip', LPAD(CRC32(seq * 2) % 99999, 5, '0'),
        'city', ELT(1 + CRC32(seq * 13) % 5, 'Köln', 'Łódź', 'Bremen', 'Aarhus', 'Graz'), 'floor', seq % 7),
    '2021-01-01' + INTERVAL seq * 700 SECOND,
    IF(seq % 9 = 0, NULL, '2021-01-02' + INTERVAL seq * 700 + CRC32(seq) % 90000 SECOND)
FROM seq_1_to_200000;

INSERT INTO positions
SELECT seq, 1 + CRC32(seq) % 120, '2025-01-01' + INTERVAL seq * 20 SECOND, 47 + CRC32(seq * 3) % 7000000 / 1000000,
    6 + CRC32(seq * 7) % 9000000 / 1000000, CRC32(seq * 9) % 1300 / 10
FROM seq_1_to_1400000;

INSERT INTO audit_log
SELECT seq, 1 + CRC32(seq) % 300, ELT(1 + CRC32(seq * 3) % 4, 'order.updated', 'order.created', 'vehicle.assigned', 'login'),
    CONCAT('order:', 1 + CRC32(seq * 5) % 200000),
    IF(seq % 4 = 0, NULL, JSON_OBJECT('state', ELT(1 + seq % 3, 'new', 'planned', 'driving'), 'total', CRC32(seq) % 1000000 / 100, 'notes', words(seq * 17, 6))),
    JSON_OBJECT('state', ELT(1 + seq % 3, 'planned', 'driving', 'delivered'), 'total', CRC32(seq * 19) % 1000000 / 100, 'hash', MD5(seq)),
    UNHEX(LPAD(HEX(CRC32(seq * 23)), 8, '0')),
    ELT(1 + CRC32(seq * 29) % 3, 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15', 'okhttp/4.12.0'),
    '2024-01-01' + INTERVAL seq * 100 SECOND
FROM seq_1_to_300000;

-- Photos and scans: bytes that do not compress.
INSERT INTO documents
SELECT d.seq, 1 + CRC32(d.seq) % 200000, CONCAT('Delivery note ', d.seq),
    (SELECT GROUP_CONCAT(UNHEX(SHA2(CONCAT(d.seq, ':', s.seq), 512)) ORDER BY s.seq SEPARATOR '') FROM seq_1_to_1000 s)
FROM seq_1_to_400 d;

DROP FUNCTION words;
