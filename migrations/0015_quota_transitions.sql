CREATE TABLE "quota_transitions" (
	"organization_id" text NOT NULL,
	"period_start" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"period_id" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "quota_transitions_pk" PRIMARY KEY("organization_id","period_start","kind")
);
--> statement-breakpoint
ALTER TABLE "quota_transitions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "quota_transitions" ADD CONSTRAINT "quota_transitions_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "tenant" ON "quota_transitions" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("quota_transitions"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("quota_transitions"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "quota_transitions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "quota_transitions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- What an organization was told stays told: neither role may UPDATE or DELETE. It goes with its organization, by the foreign key.
GRANT SELECT, INSERT ON "quota_transitions" TO "meterhouse_app", "meterhouse_system";
