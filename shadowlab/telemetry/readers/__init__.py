"""One file a format: each puts what it reads into the staging tables of `sql/stage.sql`."""
