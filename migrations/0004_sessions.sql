CREATE TABLE "mailbox_proofs" (
	"id" text PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"email" text NOT NULL,
	"token_hash" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"name" text,
	"password_hash" text,
	"organization_name" text
);
--> statement-breakpoint
ALTER TABLE "mailbox_proofs" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "refresh_tokens" (
	"hash" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"spent_at" timestamp with time zone,
	"successor_salt" text
);
--> statement-breakpoint
ALTER TABLE "refresh_tokens" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	"ended_by" text,
	"ip" text,
	"user_agent" text
);
--> statement-breakpoint
ALTER TABLE "sessions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "refresh_tokens" ADD CONSTRAINT "refresh_tokens_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "mailbox_proofs_token" ON "mailbox_proofs" USING btree ("token_hash");--> statement-breakpoint
CREATE INDEX "mailbox_proofs_email" ON "mailbox_proofs" USING btree (lower("email"));--> statement-breakpoint
CREATE INDEX "refresh_tokens_session" ON "refresh_tokens" USING btree ("session_id");--> statement-breakpoint
CREATE INDEX "sessions_user" ON "sessions" USING btree ("user_id","id");--> statement-breakpoint
CREATE POLICY "system" ON "mailbox_proofs" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "refresh_tokens" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "system" ON "sessions" AS PERMISSIVE FOR ALL TO "meterhouse_system" USING (true) WITH CHECK (true);--> statement-breakpoint
-- Finished by hand from here: drizzle-kit writes neither FORCE nor grants.
ALTER TABLE "sessions" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "refresh_tokens" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "mailbox_proofs" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- Nothing for meterhouse_app: what a person's sign-in is made of never shows in a tenant transaction.
GRANT SELECT, INSERT, UPDATE, DELETE ON "sessions", "refresh_tokens", "mailbox_proofs" TO "meterhouse_system";
