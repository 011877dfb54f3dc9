CREATE TABLE "tracking_plan_schemas" (
	"organization_id" text NOT NULL,
	"project_id" text NOT NULL,
	"event" text NOT NULL,
	"version" integer NOT NULL,
	"schema" json,
	CONSTRAINT "tracking_plan_schemas_pk" PRIMARY KEY("organization_id","project_id","event","version")
);
--> statement-breakpoint
ALTER TABLE "tracking_plan_schemas" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "tracking_plan_versions" (
	"organization_id" text NOT NULL,
	"project_id" text NOT NULL,
	"version" integer NOT NULL,
	"change" text NOT NULL,
	"mode" text NOT NULL,
	"unplanned_events" text NOT NULL,
	"event" text,
	"restored_version" integer,
	"comment" text,
	"changed_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tracking_plan_versions_pk" PRIMARY KEY("organization_id","project_id","version")
);
--> statement-breakpoint
ALTER TABLE "tracking_plan_versions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "tracking_plan_schemas" ADD CONSTRAINT "tracking_plan_schemas_version" FOREIGN KEY ("organization_id","project_id","version") REFERENCES "public"."tracking_plan_versions"("organization_id","project_id","version") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tracking_plan_versions" ADD CONSTRAINT "tracking_plan_versions_project" FOREIGN KEY ("organization_id","project_id") REFERENCES "public"."projects"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "tenant" ON "tracking_plan_schemas" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("tracking_plan_schemas"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("tracking_plan_schemas"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "tracking_plan_schemas" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "tracking_plan_versions" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("tracking_plan_versions"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("tracking_plan_versions"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "tracking_plan_versions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "tracking_plan_versions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "tracking_plan_schemas" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- History is only ever added to: nobody may UPDATE or DELETE it. It goes with its project, by the foreign keys.
GRANT SELECT, INSERT ON "tracking_plan_versions", "tracking_plan_schemas" TO "meterhouse_app", "meterhouse_system";
