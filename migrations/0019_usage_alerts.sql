CREATE TABLE "usage_alert_firings" (
	"organization_id" text NOT NULL,
	"period_id" text NOT NULL,
	"meter_key" text NOT NULL,
	"kind" text NOT NULL,
	"threshold" bigint NOT NULL,
	"value" text NOT NULL,
	"whole" text,
	"fired_at" timestamp with time zone NOT NULL,
	"mailed" boolean NOT NULL,
	CONSTRAINT "usage_alert_firings_pk" PRIMARY KEY("organization_id","period_id","meter_key","kind","threshold")
);
--> statement-breakpoint
ALTER TABLE "usage_alert_firings" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "usage_alerts" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"meter_key" text NOT NULL,
	"kind" text NOT NULL,
	"threshold" bigint NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "usage_alerts_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "usage_alerts_thresholds" UNIQUE("organization_id","meter_key","kind","threshold")
);
--> statement-breakpoint
ALTER TABLE "usage_alerts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "usage_alert_firings" ADD CONSTRAINT "usage_alert_firings_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "usage_alerts" ADD CONSTRAINT "usage_alerts_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "tenant" ON "usage_alert_firings" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("usage_alert_firings"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("usage_alert_firings"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "usage_alert_firings" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "usage_alerts" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("usage_alerts"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("usage_alerts"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "usage_alerts" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "usage_alerts" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "usage_alert_firings" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "usage_alerts" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
-- What an organization was told stays told: neither role may UPDATE or DELETE. It goes with its organization, by the foreign key.
GRANT SELECT, INSERT ON "usage_alert_firings" TO "meterhouse_app", "meterhouse_system";
