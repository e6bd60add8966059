-- Which launcher runs are for, where a token says it.

ALTER TABLE integration_token ADD COLUMN launcher TEXT; -- of its runs; NULL: as configured
ALTER TABLE run_input ADD COLUMN launcher TEXT;         -- its token's; NULL: as configured
