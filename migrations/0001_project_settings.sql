ALTER TABLE "projects" ADD COLUMN "allowed_origins" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "ip_policy" text DEFAULT 'truncate' NOT NULL;--> statement-breakpoint
ALTER TABLE "projects" ADD CONSTRAINT "projects_ip_policy" CHECK ("projects"."ip_policy" in ('keep', 'truncate', 'drop'));