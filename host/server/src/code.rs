//! Every code that a problem can carry: the one table from which answers and documentation are made.

use axum::http::StatusCode;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

macro_rules! codes {
    ($($name:ident $text:literal $status:ident $title:literal $hint:literal;)*) => {
        /// What kind of problem it is. Stable: programs may rely on it, and a new version only adds to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All of them, by status.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// As programs see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)* }
            }

            /// A short sentence, the same for every problem of this code.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// What the caller can do, where nothing more exact is known.
            pub const fn hint(self) -> &'static str {
                match self { $(Code::$name => $hint,)* }
            }
        }
    };
}

codes! {
    Malformed "malformed" BAD_REQUEST "The body cannot be read"
        "Send well-formed JSON in UTF-8.";
    Unauthenticated "unauthenticated" UNAUTHORIZED "No valid API key"
        "Send `Authorization: Bearer fbx_...` with a key that is not revoked.";
    InsufficientFunds "insufficient_funds" PAYMENT_REQUIRED "The wallet has not enough"
        "Put value into the wallet, then authorize again under a new id: this one stays denied.";
    Debt "debt" PAYMENT_REQUIRED "The customer owes more than its policy allows"
        "A `paid` grant pays the debt; then authorize again under a new id: this one stays denied.";
    SubscriptionPaused "subscription_paused" PAYMENT_REQUIRED "The subscription is paused"
        "Resume it, then authorize again under a new id: this one stays denied.";
    SpendingLimit "limit_exceeded" PAYMENT_REQUIRED "A spending limit does not allow it"
        "Wait until `resets_at`, or raise the limit; then authorize again under a new id: this one stays denied.";
    Forbidden "forbidden" FORBIDDEN "The key's role does not allow this"
        "Use a key with one of the roles that the endpoint's documentation names.";
    NotFound "not_found" NOT_FOUND "There is no such endpoint"
        "Look at /docs for what there is.";
    UnknownCustomer "unknown_customer" NOT_FOUND "There is no such customer"
        "Create it with PUT /v1/customers/{customer}.";
    UnknownHold "unknown_hold" NOT_FOUND "There is no such hold"
        "Use the hold's id exactly as authorize answered it.";
    UnknownEvent "unknown_event" NOT_FOUND "There is no such event"
        "Check the id, the customer, and the source: `api` unless the event named one.";
    UnknownSubscription "unknown_subscription" NOT_FOUND "There is no such subscription"
        "Start it with POST /v1/subscriptions.";
    UnknownGrant "unknown_grant" NOT_FOUND "There is no such grant in the wallet"
        "GET the customer's balance for its grants; one that is used up is gone.";
    UnknownLimit "unknown_limit" NOT_FOUND "There is no such spending limit"
        "Create it with PUT /v1/customers/{customer}/limits/{limit}.";
    UnknownPlan "unknown_plan" NOT_FOUND "There is no such plan"
        "Push a component under this name, then activate a revision.";
    UnknownComponent "unknown_component" NOT_FOUND "There is no such component under this plan"
        "Push it with POST /v1/plans/{plan}/components; the answer carries its hash.";
    UnknownKey "unknown_key" NOT_FOUND "There is no such key"
        "GET /v1/keys lists the keys.";
    UnknownBackfill "unknown_backfill" NOT_FOUND "There is no such backfill"
        "GET /v1/backfills lists the backfills; POST /v1/backfills makes one.";
    UnknownTenant "unknown_tenant" NOT_FOUND "There is no such tenant"
        "GET /v1/tenants lists the tenants; POST /v1/tenants makes one.";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The endpoint has no such method"
        "The `Allow` header names those that it has.";
    BodyTimeout "body_timeout" REQUEST_TIMEOUT "The body took too long to arrive"
        "Send it again; nothing was done.";
    Conflict "conflict" CONFLICT "Another request was made under this id"
        "A new request takes a new id; a retry repeats the first one unchanged.";
    HoldExists "hold_exists" CONFLICT "There is an open hold for this event"
        "Settle or release it by its id, or use a new id.";
    HoldEnded "hold_ended" CONFLICT "The hold has ended"
        "A hold ends once. Report further usage as an event with an id of its own.";
    AboveHold "above_hold" CONFLICT "The usage costs more than was held for it"
        "Settle with `above_hold` `allow_debt` or `charge_available`, or extend the hold first, while it is open.";
    EventTypeOwned "event_type_owned" CONFLICT "Another subscription prices this type of event"
        "One subscription of a customer owns each event type.";
    GrantExists "grant_exists" CONFLICT "The wallet has a grant of this name"
        "A plan gave it. Take another id.";
    StillHeld "still_held" CONFLICT "The call is still held"
        "Release the hold, or settle it; what is settled can be voided, amended and refunded.";
    EventVoided "event_voided" CONFLICT "The event was voided before"
        "Send what should be charged as a new event.";
    NothingToGiveBack "nothing_to_give_back" CONFLICT "The event holds nothing that could be given back"
        "GET the event for what was charged and given back before.";
    NotRefundable "not_refundable" CONFLICT "The grant was not bought"
        "Take it away with an adjustment.";
    CannotRefold "cannot_refold" CONFLICT "The correction cannot be carried through the events behind it"
        "`detail` says what stands in the way. Refund the event, or put the balance right with an adjustment.";
    SubscriptionEnded "subscription_ended" CONFLICT "The subscription was cancelled"
        "Start a new one under another id.";
    ChangeNotPossible "change_not_possible" CONFLICT "The subscription cannot be changed so"
        "GET the subscription for how it stands.";
    KeyExists "key_exists" CONFLICT "The key's name is taken"
        "Names of keys are taken for good. Choose another one.";
    TenantExists "tenant_exists" CONFLICT "The tenant's name is taken"
        "Choose another one. `default` exists from the start.";
    LiveTenant "live_tenant" CONFLICT "The tenant's time is the machine's"
        "Only a sandbox's clock can be advanced. Make one: POST /v1/tenants with `\"kind\": \"sandbox\"`.";
    Advancing "advancing" CONFLICT "The clock is being advanced"
        "Nothing was done. Send the same request again when the other one is answered.";
    BackfillNotPossible "backfill_not_possible" CONFLICT "The backfill cannot be carried out so"
        "GET the backfill for how it stands: only a draft is committed, and only what is committed is reverted.";
    BackfillBusy "backfill_busy" CONFLICT "The backfill is being carried out"
        "Nothing was done. Send the same request again when the other one is answered.";
    NothingToRollBack "nothing_to_roll_back" CONFLICT "There is no earlier revision"
        "Activate another revision instead.";
    Contended "contended" CONFLICT "The control plane kept changing"
        "Try again.";
    ChangesExpired "changes_expired" GONE "Changes behind this cursor are no longer kept"
        "Look at what is there now (balances, subscriptions), then read on without `after`: from the oldest that is kept.";
    Archived "archived" GONE "Older history is archived"
        "It is not lost: with `archive_dir` set, the server reads it. Nothing was done.";
    TooLarge "too_large" PAYLOAD_TOO_LARGE "The body is too large"
        "Send it in parts.";
    TooManyEvents "too_many_events" PAYLOAD_TOO_LARGE "Too many events in one call"
        "Send up to 10000 events a call.";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The content type is not understood"
        "Name the body's format in the `Content-Type` header.";
    InvalidRequest "invalid_request" UNPROCESSABLE_ENTITY "A field does not fit"
        "Correct the field that `pointer` names.";
    InvalidParameter "invalid_parameter" UNPROCESSABLE_ENTITY "A parameter or header does not fit"
        "Correct the parameter that `parameter` names.";
    Unsupported "unsupported" UNPROCESSABLE_ENTITY "Not supported by this version"
        "Leave the field away, or use one of the values named.";
    InvalidEvent "invalid_event" UNPROCESSABLE_ENTITY "The plan cannot read the event"
        "Correct the field and send it again; the id is not used up.";
    Unpriceable "unpriceable" UNPROCESSABLE_ENTITY "The plan has no price for this"
        "Activate a revision that prices it, then authorize again under a new id: this one stays denied.";
    NoSubscription "no_subscription" UNPROCESSABLE_ENTITY "No subscription of the customer prices this"
        "Subscribe the customer to a plan for this type of event, then authorize again under a new id.";
    PlanRefused "plan_refused" UNPROCESSABLE_ENTITY "The plan refused the start or the change"
        "Correct the plan's parameters, or choose another plan or another change.";
    InvalidTime "invalid_time" UNPROCESSABLE_ENTITY "A time does not fit"
        "Correct the field that `field` names.";
    InvalidAmount "invalid_amount" UNPROCESSABLE_ENTITY "An amount does not fit"
        "Correct the field that `field` names.";
    NoRoom "no_room" UNPROCESSABLE_ENTITY "There is no room for more"
        "Let some of what is there end first; `limit` names what is full.";
    ComponentRefused "component_refused" UNPROCESSABLE_ENTITY "The component is not taken into service"
        "Run `farebox plan check` on it.";
    ParametersRefused "parameters_refused" UNPROCESSABLE_ENTITY "The plan refuses the parameters"
        "Correct them at the places that `errors` names.";
    EffectiveInThePast "effective_in_the_past" UNPROCESSABLE_ENTITY "Prices do not change in the past"
        "Leave `effective_at` away for now, or name a later instant.";
    StateVersion "state_version" UNPROCESSABLE_ENTITY "The revision does not read a state that there is"
        "Activate a component with the state version that is in force.";
    Busy "busy" TOO_MANY_REQUESTS "The server is busy"
        "Nothing was done. Send the same request again after `Retry-After`.";
    PlanFailed "plan_failed" INTERNAL_SERVER_ERROR "The plan broke"
        "Nothing was done and the id is not used up. Correct the plan, or roll back to its previous revision.";
    Internal "internal" INTERNAL_SERVER_ERROR "The server broke"
        "Repeat the request under the same id. The server's log has the reason.";
    Stopped "stopped" SERVICE_UNAVAILABLE "The server has stopped"
        "Repeat the request under the same id when the server is back: that tells whether it was carried out.";
    BooksBehind "books_behind" SERVICE_UNAVAILABLE "The books have not followed everything yet"
        "Send the same request again. Where it stays so, see the server's log: it may lack its `archive_dir`.";
    DiskNearlyFull "disk_nearly_full" INSUFFICIENT_STORAGE "The server's disk is nearly full"
        "Nothing was done; reads go on. Send the same request again when there is room on the server's disk.";
    Timeout "timeout" GATEWAY_TIMEOUT "No answer in time"
        "It may have been carried out. Repeat the request under the same id.";
}

impl utoipa::PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let mut table = String::from(
            "What kind of problem it is. Stable.\n\n| code | status | meaning | what to do |\n|---|---|---|---|\n",
        );
        for code in Code::ALL {
            let status = code.status().as_u16();
            table.push_str(&format!(
                "| `{}` | {status} | {} | {} |\n",
                code.as_str(),
                code.title(),
                code.hint()
            ));
        }
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Code::ALL.iter().map(|code| code.as_str())))
            .description(Some(table))
            .into()
    }
}

impl utoipa::ToSchema for Code {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_its_own_and_says_what_to_do() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(
                code.status().is_client_error() || code.status().is_server_error(),
                "{code:?}"
            );
            assert!(code.hint().ends_with('.'), "{code:?}");
            assert!(
                code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{code:?}"
            );
        }
    }
}
