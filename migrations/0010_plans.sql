CREATE TABLE "custom_plan_versions" (
	"organization_id" text NOT NULL,
	"plan_key" text NOT NULL,
	"version" integer NOT NULL,
	"terms" jsonb NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "custom_plan_versions_pk" PRIMARY KEY("organization_id","plan_key","version")
);
--> statement-breakpoint
ALTER TABLE "custom_plan_versions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "plan_versions" (
	"plan_key" text NOT NULL,
	"version" integer NOT NULL,
	"terms" jsonb NOT NULL,
	"created_by" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "plan_versions_pk" PRIMARY KEY("plan_key","version")
);
--> statement-breakpoint
ALTER TABLE "plan_versions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "plans" (
	"key" text PRIMARY KEY NOT NULL,
	"offered" boolean NOT NULL,
	"position" integer DEFAULT 100 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "plans" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "custom_plan_versions" ADD CONSTRAINT "custom_plan_versions_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "plan_versions" ADD CONSTRAINT "plan_versions_plan" FOREIGN KEY ("plan_key") REFERENCES "public"."plans"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "tenant" ON "custom_plan_versions" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("custom_plan_versions"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("custom_plan_versions"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "custom_plan_versions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "plan_versions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "plans" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here. The first offers go in before FORCE, which would keep the owner of the tables out, too.
INSERT INTO "plans" ("key", "offered", "position") VALUES ('free', true, 10), ('pro', true, 20), ('enterprise', true, 30);--> statement-breakpoint
INSERT INTO "plan_versions" ("plan_key", "version", "terms") VALUES
	('free', 1, '{"name":"Free","description":"To try everything. It stops at its limit and costs nothing.","currency":"USD","interval":"month","basePrice":"0","metered":[{"meter":"events","price":{"model":"perUnit","unitAmount":"0","included":"100000"}}],"trialDays":0,"limits":{"events":{"perPeriod":"100000","mode":"hard"},"projects":2,"members":3,"retentionDays":90,"eventsPerSecond":100}}'),
	('pro', 1, '{"name":"Pro","description":"Five million events a month; what is used beyond them is billed by the event.","currency":"USD","interval":"month","basePrice":"4900","metered":[{"meter":"events","price":{"model":"graduated","included":"5000000","tiers":[{"upTo":"10000000","unitAmount":"0.0012"},{"upTo":"95000000","unitAmount":"0.0008"},{"upTo":null,"unitAmount":"0.0004"}]}}],"trialDays":14,"limits":{"events":{"perPeriod":null,"mode":"soft"},"projects":20,"members":25,"retentionDays":730,"eventsPerSecond":2000}}'),
	('enterprise', 1, '{"name":"Enterprise","description":"Limits, prices and terms by agreement.","currency":"USD","interval":"month","basePrice":null,"metered":[],"trialDays":0,"limits":{"events":{"perPeriod":null,"mode":"soft"},"projects":null,"members":null,"retentionDays":null,"eventsPerSecond":null}}');--> statement-breakpoint
ALTER TABLE "plans" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "plan_versions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "custom_plan_versions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- What was once offered or agreed stays as it was: nobody may UPDATE or DELETE a version. Custom ones go with their organization.
GRANT SELECT, INSERT, UPDATE ON "plans" TO "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT ON "plan_versions" TO "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT ON "custom_plan_versions" TO "meterhouse_app", "meterhouse_system";
