-- What PostgreSQL has of its own.
CREATE ROLE keeper NOLOGIN;
CREATE ROLE "odd ""role""" LOGIN PASSWORD 'first';
GRANT keeper TO "odd ""role""";
CREATE EXTENSION citext;
CREATE SCHEMA "Odd Schema" AUTHORIZATION keeper;
CREATE TYPE state AS ENUM ('new', 'größer 🚚');
CREATE DOMAIN weight AS numeric(10, 2) CHECK (VALUE > 0);
CREATE SEQUENCE numbers START 42 INCREMENT 7;
CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail citext UNIQUE,
    state state DEFAULT 'new',
    weight weight,
    doubled numeric GENERATED ALWAYS AS (weight * 2) STORED,
    details jsonb,
    tags text[],
    photo bytea,
    span tstzrange,
    scan oid
);
COMMENT ON COLUMN customers.mail IS 'it''s; "quoted" \ here';
CREATE TABLE "Odd Schema"."t ""t""" (id bigserial PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, note text);
ALTER TABLE "Odd Schema"."t ""t""" OWNER TO keeper;
CREATE TABLE parted (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
CREATE TABLE base (a int);
CREATE TABLE heir (b int) INHERITS (base);
CREATE UNLOGGED TABLE fleeting (x int);
CREATE TABLE beats (n bigint);
INSERT INTO beats VALUES (0);
CREATE INDEX ON customers USING gin (details);
CREATE INDEX ON customers (lower(mail::text)) WHERE weight > 1;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON customers TO keeper USING (mail = current_user::citext);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NEW.note := coalesce(NEW.note, 'told; ''so''');
    RETURN NEW;
END
$body$;
CREATE TRIGGER tell BEFORE INSERT ON "Odd Schema"."t ""t""" FOR EACH ROW EXECUTE FUNCTION tell();
CREATE PROCEDURE nothing() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE VIEW b_lines AS SELECT c.mail, t.note FROM customers c JOIN "Odd Schema"."t ""t""" t ON t.customer = c.id;
CREATE VIEW a_top WITH (security_invoker) AS SELECT note, count(*) FROM b_lines GROUP BY note;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM customers;
CREATE RULE quiet AS ON DELETE TO base DO INSTEAD NOTHING;
INSERT INTO customers (mail, state, weight, details, tags, photo, span, scan) VALUES
    ('A@Example.test', 'größer 🚚', 12.5, '{"a": [1, "🎉", null]}', '{x,"with, comma",NULL}', '\x00ff5c270a0d', '[2026-01-01,2026-02-01)', lo_from_bytea(0, decode(repeat('ab00ff27', 3000), 'hex'))),
    (E'tab\there \\. back\\slash', 'new', 1, NULL, '{}', '', NULL, NULL);
INSERT INTO "Odd Schema"."t ""t""" (customer, note) VALUES (1, NULL), (2, E'line\nline'), (1, '\.');
INSERT INTO parted SELECT date '2026-06-01' + n * 30, n FROM generate_series(1, 20) AS n;
INSERT INTO base VALUES (1); INSERT INTO heir VALUES (2, 2), (3, 3);
SELECT nextval('numbers');
REFRESH MATERIALIZED VIEW counted;
GRANT SELECT ON customers TO "odd ""role""";
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO keeper;
ALTER DATABASE freight CONNECTION LIMIT 50;
ALTER DATABASE freight SET work_mem = '7MB';
ALTER ROLE keeper IN DATABASE freight SET search_path = "Odd Schema", public;
ALTER ROLE keeper IN DATABASE freight SET application_name = 'it''s "one"';
GRANT CREATE ON DATABASE freight TO keeper;
REVOKE CONNECT ON DATABASE freight FROM PUBLIC;
COMMENT ON DATABASE freight IS 'all of it';
