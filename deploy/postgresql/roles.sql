-- A role for each service, with rights on its own schema alone, and `reader` for people. May be run again and again: it makes
-- what is missing, sets the passwords, and hands over schemas and tables that a superuser made for the services before.
--
--   STORE_PASSWORD_INGEST=... STORE_PASSWORD_SCORING=... STORE_PASSWORD_ALERTS=... \
--       STORE_PASSWORD_GATEWAY=... STORE_PASSWORD_DASHBOARD=... STORE_PASSWORD_READER=... \
--       psql --no-psqlrc --file deploy/postgresql/roles.sql postgresql://admin@host/reefmesh
--
-- psql 14 or newer, as a superuser, or as the owner of the database with CREATEROLE (a managed database's main user). The
-- passwords come from the environment, so that they are in no list of processes. All or nothing: it is one transaction.

\set ON_ERROR_STOP on
\set QUIET on

BEGIN;
-- A statement with a password in it is not for the server's log. (Only a superuser may say so.)
SELECT set_config('log_statement', 'none', true), set_config('log_min_error_statement', 'panic', true),
    set_config('log_min_duration_statement', '-1', true)
FROM pg_roles WHERE rolname = current_user AND rolsuper \g /dev/null
SET LOCAL client_min_messages = warning;
SELECT pg_advisory_xact_lock(1919247718, hashtext('roles.sql')) \g /dev/null

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

\set role reader
\unset password
\getenv password STORE_PASSWORD_READER
\ir role.sql
ALTER ROLE reader SET default_transaction_read_only = on;
-- A forgotten session of a person must not keep the tables from being cleaned up.
ALTER ROLE reader SET statement_timeout = '60s';
ALTER ROLE reader SET idle_in_transaction_session_timeout = '60s';

\set role ingest
\unset password
\getenv password STORE_PASSWORD_INGEST
\ir role.sql
\ir schema.sql

\set role scoring
\unset password
\getenv password STORE_PASSWORD_SCORING
\ir role.sql
\ir schema.sql

\set role alerts
\unset password
\getenv password STORE_PASSWORD_ALERTS
\ir role.sql
\ir schema.sql

\set role gateway
\unset password
\getenv password STORE_PASSWORD_GATEWAY
\ir role.sql
\ir schema.sql

\set role dashboard
\unset password
\getenv password STORE_PASSWORD_DASHBOARD
\ir role.sql
\ir schema.sql
COMMIT;
