CREATE TABLE "credit_entries" (
	"organization_id" text NOT NULL,
	"sequence" integer NOT NULL,
	"id" text NOT NULL,
	"amount" bigint NOT NULL,
	"balance" bigint NOT NULL,
	"currency" text NOT NULL,
	"reason" text NOT NULL,
	"invoice_id" text,
	"credit_note_id" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text,
	CONSTRAINT "credit_entries_pk" PRIMARY KEY("organization_id","sequence")
);--> statement-breakpoint
ALTER TABLE "credit_entries" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "credit_notes" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"number" text NOT NULL,
	"invoice_id" text NOT NULL,
	"reason" text NOT NULL,
	"net" bigint NOT NULL,
	"tax" bigint NOT NULL,
	"total" bigint NOT NULL,
	"settled" bigint NOT NULL,
	"issued_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "credit_notes_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "credit_notes_number" UNIQUE("organization_id","number")
);--> statement-breakpoint
ALTER TABLE "credit_notes" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "invoice_lines" (
	"organization_id" text NOT NULL,
	"invoice_id" text NOT NULL,
	"position" integer NOT NULL,
	"kind" text NOT NULL,
	"description" text NOT NULL,
	"meter_key" text,
	"meter_version" integer,
	"from_at" timestamp (3) with time zone,
	"to_at" timestamp (3) with time zone,
	"quantity" text,
	"amount" bigint NOT NULL,
	"discount" bigint NOT NULL,
	"net" bigint NOT NULL,
	"tax" bigint NOT NULL,
	"total" bigint NOT NULL,
	"row_count" text,
	"content_hash" text,
	"source" jsonb NOT NULL,
	CONSTRAINT "invoice_lines_pk" PRIMARY KEY("organization_id","invoice_id","position")
);--> statement-breakpoint
ALTER TABLE "invoice_lines" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "invoice_numbers" (
	"issuer" text PRIMARY KEY NOT NULL,
	"next" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);--> statement-breakpoint
ALTER TABLE "invoice_numbers" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "invoices" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"number" text,
	"status" text DEFAULT 'draft' NOT NULL,
	"reason" text NOT NULL,
	"subscription_id" text,
	"period_id" text,
	"currency" text NOT NULL,
	"cut_off" timestamp (3) with time zone NOT NULL,
	"document" text NOT NULL,
	"content_hash" text NOT NULL,
	"amount" bigint DEFAULT 0 NOT NULL,
	"discount" bigint DEFAULT 0 NOT NULL,
	"net" bigint DEFAULT 0 NOT NULL,
	"tax" bigint DEFAULT 0 NOT NULL,
	"total" bigint DEFAULT 0 NOT NULL,
	"credit_applied" bigint DEFAULT 0 NOT NULL,
	"amount_due" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"issued_at" timestamp (3) with time zone,
	"due_at" timestamp (3) with time zone,
	"paid_at" timestamp (3) with time zone,
	"voided_at" timestamp (3) with time zone,
	CONSTRAINT "invoices_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "invoices_period" UNIQUE("organization_id","period_id","reason"),
	CONSTRAINT "invoices_number" UNIQUE("organization_id","number")
);--> statement-breakpoint
ALTER TABLE "invoices" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "payments" (
	"organization_id" text NOT NULL,
	"id" text NOT NULL,
	"invoice_id" text NOT NULL,
	"provider" text NOT NULL,
	"reference" text NOT NULL,
	"amount" bigint NOT NULL,
	"currency" text NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"created_by" text,
	CONSTRAINT "payments_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "payments_reference" UNIQUE("organization_id","provider","reference")
);--> statement-breakpoint
ALTER TABLE "payments" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "credit_notes" ADD CONSTRAINT "credit_notes_invoice" FOREIGN KEY ("organization_id","invoice_id") REFERENCES "public"."invoices"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invoice_lines" ADD CONSTRAINT "invoice_lines_invoice" FOREIGN KEY ("organization_id","invoice_id") REFERENCES "public"."invoices"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_invoice" FOREIGN KEY ("organization_id","invoice_id") REFERENCES "public"."invoices"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "tenant" ON "credit_entries" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("credit_entries"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("credit_entries"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "credit_entries" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "credit_notes" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("credit_notes"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("credit_notes"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "credit_notes" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "invoice_lines" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("invoice_lines"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("invoice_lines"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "invoice_lines" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "invoice_numbers" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "invoices" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("invoices"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("invoices"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "invoices" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "payments" AS PERMISSIVE FOR ALL TO "meterhouse_app" USING ("payments"."organization_id" = (select nullif(current_setting('app.organization_id', true), ''))) WITH CHECK ("payments"."organization_id" = (select nullif(current_setting('app.organization_id', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "payments" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants nor triggers.
ALTER TABLE "invoices" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "invoice_lines" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "invoice_numbers" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "credit_notes" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "payments" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "credit_entries" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- Whatever the program does: a finalized invoice is neither changed nor deleted, and paid and void are the end.
CREATE FUNCTION "keep_invoice"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE settling text[] := array['status', 'paid_at', 'voided_at'];
BEGIN
	IF OLD.status = 'draft' THEN
		RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
	END IF;
	IF TG_OP = 'DELETE' THEN
		RAISE EXCEPTION 'a finalized invoice is not deleted' USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	IF to_jsonb(NEW) - settling IS DISTINCT FROM to_jsonb(OLD) - settling THEN
		RAISE EXCEPTION 'a finalized invoice does not change' USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	IF NEW.status IS DISTINCT FROM OLD.status AND NOT (
		(OLD.status = 'open' AND NEW.status IN ('paid', 'void', 'uncollectible')) OR
		(OLD.status = 'uncollectible' AND NEW.status IN ('paid', 'void'))
	) THEN
		RAISE EXCEPTION 'an invoice does not go from % to %', OLD.status, NEW.status USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER "keep_invoice" BEFORE UPDATE OR DELETE ON "invoices" FOR EACH ROW EXECUTE FUNCTION "keep_invoice"();--> statement-breakpoint
-- An invoice that cannot be seen is left to the policy and the foreign key, which refuse it.
CREATE FUNCTION "keep_invoice_lines"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM "invoices" i WHERE i.organization_id = NEW.organization_id AND i.id = NEW.invoice_id AND i.status <> 'draft') THEN
		RAISE EXCEPTION 'a finalized invoice gets no more lines' USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER "keep_invoice_lines" BEFORE INSERT ON "invoice_lines" FOR EACH ROW EXECUTE FUNCTION "keep_invoice_lines"();--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "invoices" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
-- What was billed, paid and credited stays written: neither role may UPDATE or DELETE it.
GRANT SELECT, INSERT ON "invoice_lines", "credit_notes", "payments", "credit_entries" TO "meterhouse_app", "meterhouse_system";--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "invoice_numbers" TO "meterhouse_system";
