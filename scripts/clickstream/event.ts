/** Names the generator in `context.library.name`. */
export const LIBRARY = 'meterhouse-clickstream'

/** One event as `POST /v1/events` takes it. Events of one page share their context object: treat every part as read-only. */
export interface ClickstreamEvent {
  event: EventName
  messageId: string
  type: EventType
  userId?: string
  anonymousId: string
  groupId?: string
  timestamp: string
  properties: JsonObject
  traits?: JsonObject
  context: EventContext
}

export type EventType = 'track' | 'page' | 'screen' | 'identify' | 'group'
export type Json = string | number | boolean | null | Json[] | JsonObject
export interface JsonObject {
  [name: string]: Json
}

/** `library.run` names the stream that an event belongs to, so that a check can tell its events from everybody else's. */
export interface EventContext extends JsonObject {
  library: { name: string; version: string; run: string }
  country: string
}

/** All names the shop ever sends. A typed list, so that a misspelled name does not compile. */
export const EVENT_NAMES = [
  'Session Started',
  'Page Viewed',
  'Screen Viewed',
  'Promotion Viewed',
  'Promotion Clicked',
  'Banner Dismissed',
  'Product List Viewed',
  'Product List Filtered',
  'Products Searched',
  'Search Result Clicked',
  'Product Viewed',
  'Product Image Zoomed',
  'Product Reviews Read',
  'Product Reviewed',
  'Product Shared',
  'Product Compared',
  'Wishlist Product Added',
  'Wishlist Viewed',
  'Stock Alert Requested',
  'Product Added',
  'Product Removed',
  'Cart Viewed',
  'Coupon Applied',
  'Coupon Denied',
  'Checkout Started',
  'Checkout Step Completed',
  'Shipping Method Selected',
  'Payment Info Entered',
  'Payment Failed',
  'Order Completed',
  'Order Tracked',
  'Order Refunded',
  'Invoice Downloaded',
  'Signed Up',
  'Signed In',
  'Signed Out',
  'User Identified',
  'Password Reset Requested',
  'Profile Updated',
  'Pricing Viewed',
  'Trial Started',
  'Subscription Started',
  'Subscription Renewed',
  'Plan Changed',
  'Subscription Canceled',
  'Team Joined',
  'Team Member Invited',
  'Newsletter Subscribed',
  'Help Article Viewed',
  'Support Ticket Opened',
] as const
export type EventName = (typeof EVENT_NAMES)[number]

/** userId, else anonymousId: the person as the query API counts unique users. */
export function distinctIdOf(event: ClickstreamEvent): string {
  return event.userId ?? event.anonymousId
}
