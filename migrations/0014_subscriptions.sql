CREATE TABLE "billing_accounts" (
	"organization_id" text NOT NULL,
	"name" text DEFAULT '' NOT NULL,
	"address" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"email" text,
	"tax_id" text,
	"tax_basis_points" integer DEFAULT 0 NOT NULL,
	"time_zone" text DEFAULT 'UTC' NOT NULL,
	"currency" text,
	"limit_override" jsonb,
	"stripe_customer_id" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "billing_accounts_pk" PRIMARY KEY("organization_id")
);
--> statement-breakpoint
ALTER TABLE "billing_accounts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "coupons" (
	"code" text PRIMARY KEY NOT NULL,
	"coupon" jsonb NOT NULL,
	"currency" text,
	"redemptions_max" integer,
	"redemptions" integer DEFAULT 0 NOT NULL,
	"expires_at" timestamp with time zone,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "coupons" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "redeemed_coupons" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"code" text NOT NULL,
	"coupon" jsonb NOT NULL,
	"currency" text,
	"redeemed_at" timestamp with time zone NOT NULL,
	CONSTRAINT "redeemed_coupons_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "redeemed_coupons_code" UNIQUE("organization_id","code")
);
--> statement-breakpoint
ALTER TABLE "redeemed_coupons" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "billing_charges" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"subscription_id" text NOT NULL,
	"period_id" text NOT NULL,
	"kind" text NOT NULL,
	"description" text NOT NULL,
	"amount" bigint NOT NULL,
	"currency" text NOT NULL,
	"from_at" timestamp with time zone NOT NULL,
	"to_at" timestamp with time zone NOT NULL,
	"plan_key" text NOT NULL,
	"plan_version" integer NOT NULL,
	"is_custom" boolean DEFAULT false NOT NULL,
	"due" text NOT NULL,
	"invoice_id" text,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "billing_charges_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "billing_charges" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "billing_periods" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"subscription_id" text NOT NULL,
	"number" integer NOT NULL,
	"starts_at" timestamp with time zone NOT NULL,
	"ends_at" timestamp with time zone NOT NULL,
	"usage_from" timestamp with time zone NOT NULL,
	"usage_to" timestamp with time zone NOT NULL,
	"plan_key" text NOT NULL,
	"plan_version" integer NOT NULL,
	"is_custom" boolean DEFAULT false NOT NULL,
	"is_trial" boolean DEFAULT false NOT NULL,
	"status" text NOT NULL,
	"cut_off" timestamp with time zone,
	"invoice_id" text,
	CONSTRAINT "billing_periods_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "billing_periods_number" UNIQUE("organization_id","subscription_id","number")
);
--> statement-breakpoint
ALTER TABLE "billing_periods" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "subscription_phases" (
	"organization_id" text NOT NULL,
	"subscription_id" text NOT NULL,
	"number" integer NOT NULL,
	"plan_key" text NOT NULL,
	"plan_version" integer NOT NULL,
	"is_custom" boolean DEFAULT false NOT NULL,
	"starts_at" timestamp with time zone NOT NULL,
	"kind" text NOT NULL,
	CONSTRAINT "subscription_phases_pk" PRIMARY KEY("organization_id","subscription_id","number")
);
--> statement-breakpoint
ALTER TABLE "subscription_phases" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "subscriptions" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"status" text NOT NULL,
	"plan_key" text NOT NULL,
	"plan_version" integer NOT NULL,
	"is_custom" boolean DEFAULT false NOT NULL,
	"provider" text DEFAULT 'manual' NOT NULL,
	"stripe_subscription_id" text,
	"time_zone" text NOT NULL,
	"anchor" timestamp with time zone NOT NULL,
	"pending" jsonb,
	"cancel_at_period_end" boolean DEFAULT false NOT NULL,
	"trial_ends_at" timestamp with time zone,
	"paused_at" timestamp with time zone,
	"canceled_at" timestamp with time zone,
	"started_at" timestamp with time zone NOT NULL,
	"revision" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "subscriptions_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "subscriptions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD CONSTRAINT "billing_accounts_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "redeemed_coupons" ADD CONSTRAINT "redeemed_coupons_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing_charges" ADD CONSTRAINT "billing_charges_period_of" FOREIGN KEY ("organization_id","period_id") REFERENCES "public"."billing_periods"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing_charges" ADD CONSTRAINT "billing_charges_subscription" FOREIGN KEY ("organization_id","subscription_id") REFERENCES "public"."subscriptions"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing_periods" ADD CONSTRAINT "billing_periods_subscription" FOREIGN KEY ("organization_id","subscription_id") REFERENCES "public"."subscriptions"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscription_phases" ADD CONSTRAINT "subscription_phases_subscription" FOREIGN KEY ("organization_id","subscription_id") REFERENCES "public"."subscriptions"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD CONSTRAINT "subscriptions_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."organizations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "billing_accounts_stripe" ON "billing_accounts" USING btree ("stripe_customer_id") WHERE "billing_accounts"."stripe_customer_id" is not null;--> statement-breakpoint
CREATE INDEX "billing_charges_period" ON "billing_charges" USING btree ("organization_id","period_id");--> statement-breakpoint
CREATE INDEX "billing_charges_due" ON "billing_charges" USING btree ("organization_id") WHERE "billing_charges"."invoice_id" is null and "billing_charges"."due" = 'now';--> statement-breakpoint
CREATE UNIQUE INDEX "billing_periods_open" ON "billing_periods" USING btree ("organization_id") WHERE "billing_periods"."status" = 'open';--> statement-breakpoint
CREATE INDEX "billing_periods_due" ON "billing_periods" USING btree ("ends_at") WHERE "billing_periods"."status" = 'open';--> statement-breakpoint
CREATE INDEX "billing_periods_ended" ON "billing_periods" USING btree ("ends_at") WHERE "billing_periods"."status" = 'ended';--> statement-breakpoint
CREATE UNIQUE INDEX "subscriptions_live" ON "subscriptions" USING btree ("organization_id") WHERE "subscriptions"."status" in ('trialing', 'active', 'paused');--> statement-breakpoint
CREATE UNIQUE INDEX "subscriptions_stripe" ON "subscriptions" USING btree ("stripe_subscription_id") WHERE "subscriptions"."stripe_subscription_id" is not null;--> statement-breakpoint
CREATE POLICY "tenant" ON "billing_accounts" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("billing_accounts"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("billing_accounts"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "billing_accounts" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "coupons" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "redeemed_coupons" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("redeemed_coupons"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("redeemed_coupons"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "redeemed_coupons" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "billing_charges" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("billing_charges"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("billing_charges"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "billing_charges" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "billing_periods" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("billing_periods"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("billing_periods"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "billing_periods" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "subscription_phases" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("subscription_phases"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("subscription_phases"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "subscription_phases" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "subscriptions" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("subscriptions"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("subscriptions"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "subscriptions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "billing_accounts" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "subscriptions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "subscription_phases" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "billing_periods" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "billing_charges" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "coupons" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "redeemed_coupons" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- Invoices are computed from these, so nobody may DELETE any of them, and what only ever grows stays as it was written. All of it goes
-- with its organization, by the foreign keys.
GRANT SELECT, INSERT, UPDATE ON "billing_accounts", "subscriptions", "billing_periods", "billing_charges" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT ON "subscription_phases", "redeemed_coupons" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "coupons" TO "meterhouse_system";
