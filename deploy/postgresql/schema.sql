-- Included by roles.sql: the schema of one service, owned by its role with all that is in it. Variable: role, also the schema.

-- Who is no superuser may only give to a role that it belongs to.
SELECT format('GRANT %I TO CURRENT_USER', :'role') FROM pg_roles WHERE rolname = current_user AND NOT rolsuper \gexec

CREATE SCHEMA IF NOT EXISTS :"role" AUTHORIZATION :"role";
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, :'role')
FROM pg_namespace WHERE nspname = :'role' AND nspowner <> :'role'::regrole \gexec

-- What was made by another role: tables, views, and sequences of their own (a column's sequence goes with its table).
SELECT format(
    'ALTER %s %I.%I OWNER TO %I',
    CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
    :'role', relname, :'role'
)
FROM pg_class
WHERE relnamespace = :'role'::regnamespace AND relowner <> :'role'::regrole AND relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype IN ('a', 'i') AND relkind = 'S'
    ) \gexec

-- Nobody else's rights on it, whoever granted them, but the reader's.
SELECT format('REVOKE ALL ON SCHEMA %I FROM %s', nspname, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM pg_namespace, aclexplode(nspacl)
WHERE nspname = :'role' AND grantee NOT IN (nspowner, 'reader'::regrole) GROUP BY 1 \gexec
SELECT format(
    'REVOKE ALL ON %s %I.%I FROM %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, :'role', relname,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
)
FROM pg_class, aclexplode(relacl)
WHERE relnamespace = :'role'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
    AND grantee NOT IN (relowner, 'reader'::regrole) GROUP BY 1 \gexec

GRANT USAGE ON SCHEMA :"role" TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA :"role" TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE :"role" IN SCHEMA :"role" GRANT SELECT ON TABLES TO reader;
