-- Resources by the hash of their content; `origin` leads from what was read to what is kept.
INSERT INTO segment.resources
SELECT (SELECT count(*) FROM segment.resources) + row_number() OVER (ORDER BY resource_id), resource_id, ra, types
FROM (SELECT DISTINCT ON (resource_id) resource_id, ra, types FROM kept_resources SEMI JOIN stage_resources USING (raw))
WHERE resource_id NOT IN (SELECT resource_id FROM segment.resources);

CREATE OR REPLACE TEMP TABLE origin AS
SELECT t.raw, t.resource_id, r.resource_ix, ra['service.name'] AS service, ra['service.version'] AS service_version,
    ra['service.namespace'] AS service_namespace, ra['service.instance.id'] AS service_instance_id,
    coalesce(ra['deployment.environment.name'], ra['deployment.environment']) AS deployment_environment,
    ra['vcs.ref.head.revision'] AS vcs_ref_head_revision
FROM kept_resources t JOIN segment.resources r USING (resource_id);
