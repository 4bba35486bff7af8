-- A role for dashboards: it can read the views of schema `dashboard` and nothing else, so no mail body, source,
-- header or event. The views do show subjects and who asked.
--
-- Run with psql after `postroom migrate`, as the owner of the database or a superuser (it makes a role):
--
--     psql "$DATABASE_URL" --file=grants.sql
--     psql "$DATABASE_URL" --variable=role=my_dashboards --file=grants.sql
--
-- Running it again changes nothing. Run it again when schema `dashboard` was dropped and made anew: the grants
-- went with it. Then let a login into the role, for example:
--
--     CREATE ROLE grafana LOGIN PASSWORD '…' IN ROLE postroom_dashboard CONNECTION LIMIT 10;
--     ALTER ROLE grafana SET search_path = dashboard;
--     ALTER ROLE grafana SET statement_timeout = '30s';
--
-- On PostgreSQL 14 anyone may make tables in schema `public`; take that away if others log in to this database:
-- REVOKE CREATE ON SCHEMA public FROM PUBLIC (and grant it back to the role that Postroom uses, unless it owns
-- the schema).

\set ON_ERROR_STOP on
\if :{?role} \else
    \set role postroom_dashboard
\endif

-- The views read the tables with their owner's rights, so the role needs none on the tables themselves.
SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE oid = 'dashboard'::regnamespace \gset

SELECT format('CREATE ROLE %I NOLOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec

BEGIN;
GRANT USAGE ON SCHEMA dashboard TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA dashboard TO :"role";
-- Views that later migrations add, which are made by the schema's owner.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA dashboard GRANT SELECT ON TABLES TO :"role";
COMMIT;

\echo The role :role can now read:
SELECT table_schema, table_name
FROM information_schema.role_table_grants
WHERE grantee = :'role' AND privilege_type = 'SELECT'
ORDER BY table_schema, table_name;
