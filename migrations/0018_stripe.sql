CREATE TABLE "stripe_accounts" (
	"organization_id" text PRIMARY KEY NOT NULL,
	"customer_id" text,
	"customer_number" integer DEFAULT 1 NOT NULL,
	"checkout" jsonb,
	"lease_holder" text,
	"lease_until" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "stripe_accounts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "stripe_events" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"object_id" text,
	"created_at" timestamp with time zone NOT NULL,
	"api_version" text,
	"livemode" boolean NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"error" text,
	"received_at" timestamp with time zone NOT NULL,
	"processed_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "stripe_events" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "stripe_invoices" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"subscription_id" text,
	"status" text NOT NULL,
	"reason" text NOT NULL,
	"currency" text NOT NULL,
	"total" bigint NOT NULL,
	"amount_paid" bigint NOT NULL,
	"attempts" integer NOT NULL,
	"period_starts_at" timestamp with time zone NOT NULL,
	"period_ends_at" timestamp with time zone NOT NULL,
	"paid_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"epoch" bigint NOT NULL,
	CONSTRAINT "stripe_invoices_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "stripe_invoices" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "stripe_leases" (
	"object_id" text PRIMARY KEY NOT NULL,
	"epoch" bigint NOT NULL,
	"held_until" timestamp with time zone NOT NULL,
	"read_after" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "stripe_leases" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "stripe_subscriptions" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"status" text NOT NULL,
	"plan_key" text NOT NULL,
	"plan_version" integer NOT NULL,
	"is_custom" boolean NOT NULL,
	"period_starts_at" timestamp with time zone NOT NULL,
	"period_ends_at" timestamp with time zone NOT NULL,
	"cancel_at_period_end" boolean NOT NULL,
	"trial_ends_at" timestamp with time zone,
	"canceled_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"epoch" bigint NOT NULL,
	CONSTRAINT "stripe_subscriptions_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "stripe_subscriptions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "stripe_usage_outbox" (
	"organization_id" text NOT NULL,
	"meter_key" text NOT NULL,
	"hour" timestamp with time zone NOT NULL,
	"revision" integer NOT NULL,
	"quantity" bigint NOT NULL,
	"identifier" text NOT NULL,
	"customer_id" text NOT NULL,
	"stamped_at" timestamp with time zone NOT NULL,
	"frozen_at" timestamp with time zone NOT NULL,
	"attempted_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"sent_at" timestamp with time zone,
	"dead_at" timestamp with time zone,
	"error" text,
	CONSTRAINT "stripe_usage_outbox_pk" PRIMARY KEY("organization_id","meter_key","hour","revision")
);
--> statement-breakpoint
ALTER TABLE "stripe_usage_outbox" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "stripe_accounts" ADD CONSTRAINT "stripe_accounts_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "stripe_invoices" ADD CONSTRAINT "stripe_invoices_account" FOREIGN KEY ("organization_id") REFERENCES "public"."stripe_accounts"("organization_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "stripe_subscriptions" ADD CONSTRAINT "stripe_subscriptions_account" FOREIGN KEY ("organization_id") REFERENCES "public"."stripe_accounts"("organization_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "stripe_usage_outbox" ADD CONSTRAINT "stripe_usage_outbox_account" FOREIGN KEY ("organization_id") REFERENCES "public"."stripe_accounts"("organization_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "stripe_accounts_customer" ON "stripe_accounts" USING btree ("customer_id");--> statement-breakpoint
CREATE INDEX "stripe_events_due" ON "stripe_events" USING btree ("due_at","object_id") WHERE "stripe_events"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "stripe_events_object" ON "stripe_events" USING btree ("object_id") WHERE "stripe_events"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "stripe_usage_outbox_pending" ON "stripe_usage_outbox" USING btree ("organization_id","hour") WHERE "stripe_usage_outbox"."sent_at" is null and "stripe_usage_outbox"."dead_at" is null;--> statement-breakpoint
CREATE POLICY "tenant" ON "stripe_accounts" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("stripe_accounts"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("stripe_accounts"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "stripe_accounts" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "stripe_events" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "stripe_invoices" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("stripe_invoices"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("stripe_invoices"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "stripe_invoices" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "stripe_leases" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "stripe_subscriptions" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("stripe_subscriptions"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("stripe_subscriptions"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "stripe_subscriptions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "stripe_usage_outbox" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("stripe_usage_outbox"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("stripe_usage_outbox"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "stripe_usage_outbox" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "stripe_accounts" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "stripe_events" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "stripe_leases" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "stripe_subscriptions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "stripe_invoices" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "stripe_usage_outbox" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "stripe_accounts", "stripe_subscriptions", "stripe_invoices", "stripe_usage_outbox" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "stripe_events", "stripe_leases" TO "meterhouse_system";
