-- Included by roles.sql: one role that may log in to this database, and nothing else. Variables: role, password.

\if :{?password}
\else
\set password ''
\endif
SELECT length(:'password') > 0 AS has_password \gset
\if :has_password
\else
\warn roles.sql: the role :role has no password; set it in the environment (STORE_PASSWORD_ and the name of the role)
DO $$ BEGIN RAISE EXCEPTION 'nothing was changed'; END $$;
\endif

SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
-- Only where it is needed: the main user of a managed database may not even say NOSUPERUSER.
SELECT format('ALTER ROLE %I NOSUPERUSER NOREPLICATION NOBYPASSRLS', rolname)
FROM pg_roles WHERE rolname = :'role' AND (rolsuper OR rolreplication OR rolbypassrls) \gexec
ALTER ROLE :"role" LOGIN NOCREATEDB NOCREATEROLE PASSWORD :'password';
GRANT CONNECT ON DATABASE :"DBNAME" TO :"role";
