CREATE TABLE "meter_windows" (
	"organization_id" text NOT NULL,
	"project_id" text NOT NULL,
	"meter_key" text NOT NULL,
	"meter_version" integer NOT NULL,
	"window_start" timestamp with time zone NOT NULL,
	"value" text NOT NULL,
	"row_count" bigint NOT NULL,
	"revision" bigint NOT NULL,
	"closed" boolean DEFAULT false NOT NULL,
	"computed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "meter_windows_pk" PRIMARY KEY("organization_id","meter_key","meter_version","project_id","window_start")
);
--> statement-breakpoint
ALTER TABLE "meter_windows" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "meters" (
	"organization_id" text NOT NULL,
	"key" text NOT NULL,
	"version" integer NOT NULL,
	"definition" jsonb NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "meters_pk" PRIMARY KEY("organization_id","key","version")
);
--> statement-breakpoint
ALTER TABLE "meters" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "meters" ADD CONSTRAINT "meters_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "tenant" ON "meter_windows" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("meter_windows"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("meter_windows"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "meter_windows" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "meters" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("meters"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("meters"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "meters" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "meters" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "meter_windows" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- What was once measured in one way stays so: nobody may UPDATE or DELETE a version. Versions go with their organization.
GRANT SELECT, INSERT ON "meters" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "meter_windows" TO "meterhouse_app", "meterhouse_system";
