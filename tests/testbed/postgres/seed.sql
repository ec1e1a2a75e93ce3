-- A small day of a freight service: what PostgreSQL has of its own, in a few tables.
CREATE ROLE reporting LOGIN PASSWORD 'report-5tGb9yHn' CONNECTION LIMIT 5;
CREATE ROLE billing_owner NOLOGIN;
GRANT billing_owner TO CURRENT_USER;
ALTER ROLE reporting SET statement_timeout = '30s';

CREATE EXTENSION citext;
CREATE EXTENSION pgcrypto;

CREATE SCHEMA billing AUTHORIZATION billing_owner;

CREATE TYPE shipment_state AS ENUM ('booked', 'in transit', 'delivered', 'lost');
CREATE DOMAIN weight_kg AS numeric(10, 2) CHECK (VALUE > 0);

CREATE TABLE customers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email citext NOT NULL UNIQUE,
    name text NOT NULL,
    secret bytea NOT NULL,
    tags text[] NOT NULL DEFAULT '{}'
);

CREATE TABLE shipments (
    id bigserial PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers ON DELETE CASCADE,
    state shipment_state NOT NULL DEFAULT 'booked',
    weight weight_kg NOT NULL,
    volume_l integer NOT NULL,
    density numeric GENERATED ALWAYS AS (weight / volume_l) STORED,
    window_of_delivery tstzrange,
    details jsonb NOT NULL DEFAULT '{}',
    booked_at timestamptz NOT NULL
);
CREATE INDEX shipments_details ON shipments USING gin (details);
CREATE INDEX shipments_open ON shipments (customer_id) WHERE state <> 'delivered';

CREATE TABLE positions (shipment_id bigint NOT NULL, at timestamptz NOT NULL, celsius real) PARTITION BY RANGE (at);
CREATE TABLE positions_2026_10 PARTITION OF positions FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');
CREATE TABLE positions_2026_11 PARTITION OF positions FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');

CREATE TABLE billing.invoices (number text PRIMARY KEY, shipment_id bigint NOT NULL, cents bigint NOT NULL, scan oid);
ALTER TABLE billing.invoices OWNER TO billing_owner;

CREATE FUNCTION billing.number_of(shipment bigint) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT 'INV-' || lpad(shipment::text, 6, '0') $$;

CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('shipments', NEW.id::text);
    RETURN NEW;
END
$$;
CREATE TRIGGER shipments_tell AFTER INSERT OR UPDATE ON shipments FOR EACH ROW EXECUTE FUNCTION tell();

INSERT INTO customers (email, name, secret, tags) VALUES
    ('Dispatch@Example.test', 'Größe & Söhne 🚚', '\xdeadbeef00ff', '{gold,"with, comma"}'),
    ('buero@example.test', E'tab\there, back\\slash, ''quote''', '\x00', '{}');

INSERT INTO shipments (customer_id, state, weight, volume_l, window_of_delivery, details, booked_at)
    SELECT 1 + n % 2, (enum_range(NULL::shipment_state))[1 + n % 4], 10 + n, 100 + n,
        tstzrange('2026-11-20 08:00+00', '2026-11-20 12:00+00'), jsonb_build_object('n', n),
        timestamptz '2026-11-19 06:00+00' + n * interval '1 minute'
    FROM generate_series(1, 500) AS n;

INSERT INTO positions SELECT n, timestamptz '2026-10-30 00:00+00' + n * interval '5 minutes', 4 + n % 3
    FROM generate_series(1, 1000) AS n;

INSERT INTO billing.invoices
    SELECT billing.number_of(n), n, 100 * n, CASE WHEN n = 1 THEN lo_from_bytea(0, decode(repeat('ab00ff27', 5000), 'hex')) END
    FROM generate_series(1, 50) AS n;

CREATE VIEW open_shipments AS SELECT id, customer_id, weight FROM shipments WHERE state <> 'delivered';
CREATE MATERIALIZED VIEW billing.totals AS SELECT count(*) AS invoices, sum(cents) AS cents FROM billing.invoices;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporting;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reporting;
COMMENT ON TABLE shipments IS 'one row per consignment; what it costs is in billing';
