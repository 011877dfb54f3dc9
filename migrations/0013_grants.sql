-- What its members change of an organization. That it is frozen is the operator's to say, in a transaction of the system role.
REVOKE UPDATE ON "organizations" FROM "meterhouse_app";--> statement-breakpoint
GRANT UPDATE ("name", "deletes_at", "requires_second_factor") ON "organizations" TO "meterhouse_app";
