CREATE TABLE "usage_windows" (
	"organization_id" text NOT NULL,
	"project_id" text NOT NULL,
	"window_start" timestamp with time zone NOT NULL,
	"events" bigint NOT NULL,
	"revision" bigint NOT NULL,
	"computed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"complete" boolean DEFAULT false NOT NULL,
	CONSTRAINT "usage_windows_organization_id_project_id_window_start_pk" PRIMARY KEY("organization_id","project_id","window_start")
);
--> statement-breakpoint
ALTER TABLE "usage_windows" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE INDEX "usage_windows_open" ON "usage_windows" USING btree ("window_start") WHERE not "usage_windows"."complete";--> statement-breakpoint
CREATE POLICY "tenant" ON "usage_windows" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("usage_windows"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("usage_windows"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "usage_windows" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "usage_windows" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "usage_windows" TO "meterhouse_app", "meterhouse_system";
