ALTER TABLE "mailbox_proofs" ADD COLUMN "user_id" text;--> statement-breakpoint
ALTER TABLE "mailbox_proofs" ADD CONSTRAINT "mailbox_proofs_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "mailbox_proofs_user" ON "mailbox_proofs" USING btree ("user_id");
