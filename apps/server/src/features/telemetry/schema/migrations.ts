/**
 * The schema `telemetry`, by hand: Prisma does not know partitions. An applied migration is never edited; its checksum is
 * compared at start.
 */
export interface TelemetryMigration {
  readonly name: string;
  readonly sql: string;
}

export const telemetryMigrations: readonly TelemetryMigration[] = [
  {
    name: '0001_store',
    sql: `
-- What a release's manifest says about its metrics, so that a query needs neither manifest nor object.
CREATE TABLE telemetry.metric (
  probe text NOT NULL,
  release text NOT NULL,
  metric text NOT NULL,
  type text NOT NULL CHECK (type IN ('counter', 'gauge', 'histogram')),
  unit text,
  help text,
  labels text[] NOT NULL,
  -- Upper bounds of a histogram's buckets in the metric's unit; one more bucket holds what is above.
  bounds float8[],
  PRIMARY KEY (probe, release, metric)
);

-- One line of a chart. A run is part of it: two runs of one probe count from different zeros.
CREATE TABLE telemetry.series (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device text NOT NULL,
  run text NOT NULL,
  release text NOT NULL,
  probe text NOT NULL,
  metric text NOT NULL,
  labels jsonb NOT NULL,
  labels_digest bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (run, metric, labels_digest)
);
CREATE INDEX series_device_metric ON telemetry.series (device, metric);

-- A null value says that the map entry went.
CREATE TABLE telemetry.sample (
  ts timestamptz NOT NULL,
  series bigint NOT NULL,
  value float8
) PARTITION BY RANGE (ts);
CREATE INDEX sample_ts ON telemetry.sample USING brin (ts);
CREATE INDEX sample_series ON telemetry.sample (series, ts);

-- Buckets are absolute and not cumulative over bounds.
CREATE TABLE telemetry.hist (
  ts timestamptz NOT NULL,
  series bigint NOT NULL,
  sum float8,
  count bigint NOT NULL,
  buckets bigint[] NOT NULL
) PARTITION BY RANGE (ts);
CREATE INDEX hist_ts ON telemetry.hist USING brin (ts);
CREATE INDEX hist_series ON telemetry.hist (series, ts);

CREATE TABLE telemetry.debug_event (
  ts timestamptz NOT NULL,
  device text NOT NULL,
  run text NOT NULL,
  probe text NOT NULL,
  event text NOT NULL,
  fields jsonb NOT NULL
) PARTITION BY RANGE (ts);
CREATE INDEX debug_event_ts ON telemetry.debug_event USING brin (ts);
CREATE INDEX debug_event_run ON telemetry.debug_event (run, ts);

-- Addresses are the kernel's u64 in two's complement, innermost frame first.
CREATE TABLE telemetry.stack (
  run text NOT NULL,
  boot text NOT NULL,
  map text NOT NULL,
  id bigint NOT NULL,
  device text NOT NULL,
  frames bigint[] NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, boot, map, id)
);

-- How often a stack was seen since the run's first attach, absolute.
CREATE TABLE telemetry.profile (
  ts timestamptz NOT NULL,
  device text NOT NULL,
  run text NOT NULL,
  release text NOT NULL,
  probe text NOT NULL,
  profile text NOT NULL,
  boot text NOT NULL,
  stacks text NOT NULL,
  kernel_stack bigint,
  user_stack bigint,
  labels jsonb NOT NULL,
  count bigint NOT NULL
) PARTITION BY RANGE (ts);
CREATE INDEX profile_ts ON telemetry.profile USING brin (ts);
CREATE INDEX profile_device ON telemetry.profile (device, ts);

-- What only the device can resolve (DESIGN §3). Kernel addresses hold for one boot.
CREATE TABLE telemetry.name (
  device text NOT NULL,
  boot text NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,
  name text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (device, kind, id, boot)
);

-- Which batches are settled (DESIGN §6): received, lost and refused alike. The last two are kept for the record too.
CREATE TABLE telemetry.ledger (
  device text NOT NULL,
  stream text NOT NULL,
  epoch bigint NOT NULL,
  settled int8multirange NOT NULL DEFAULT '{}',
  lost int8multirange NOT NULL DEFAULT '{}',
  refused int8multirange NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (device, stream, epoch)
);

-- Rows stored, one line per writer: a line that all writers shared would make them wait for one another.
CREATE TABLE telemetry.tally (
  writer text PRIMARY KEY,
  samples bigint NOT NULL,
  events bigint NOT NULL,
  first_at timestamptz,
  last_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Which table and view an event has, and which column each of its fields has had with which type.
CREATE TABLE telemetry.event_table (
  probe text NOT NULL,
  event text NOT NULL,
  table_name text NOT NULL UNIQUE,
  view_name text NOT NULL UNIQUE,
  PRIMARY KEY (probe, event)
);
CREATE TABLE telemetry.event_column (
  table_name text NOT NULL REFERENCES telemetry.event_table (table_name),
  column_name text NOT NULL,
  field text NOT NULL,
  pg_type text NOT NULL,
  dictionary text,
  position integer NOT NULL,
  PRIMARY KEY (table_name, column_name),
  UNIQUE (table_name, field, pg_type)
);
`,
  },
  {
    name: '0002_upkeep',
    sql: `
-- What the last round of maintenance left: one row.
CREATE TABLE telemetry.upkeep (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- Until when time has passed for the retention; follows the clocks by at most a day in each round.
  retention_at timestamptz NOT NULL,
  -- Sentences for people.
  problems text[] NOT NULL DEFAULT '{}',
  round_at timestamptz NOT NULL DEFAULT now()
);

-- What keeps a writer of telemetry from writing; no row, or none that is recent: nothing does.
CREATE TABLE telemetry.writer (
  writer text PRIMARY KEY,
  -- When the oldest batch came that is not written yet.
  waiting_since timestamptz,
  -- Tables that have no partition for rows of now.
  without_room text[] NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now()
);
`,
  },
];
