//! `POST /v1/authorize`: may this call happen?

use axum::extract::State;
use axum::response::Response;
use farebox_record::command::{AuthorizeMode, Command};
use farebox_record::outcome::Answer;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::decode::body::Strict;
use crate::handle::HoldHandle;
use crate::problem::Problem;
use crate::refusal::{denied, internal};
use crate::server::Server;
use crate::watch;
use crate::wire::amount::AssetAmount;
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::event::{AllowedView, AuthorizeBody, HoldOpened};
use crate::wire::time::Time;

/// Sets the worst case of a call aside, or says no.
///
/// With `settle: true` the measures are known usage, which is checked and debited in one step. A decision is kept under
/// its id: the same request again gets it again, a denial included; a new attempt takes a new id.
#[utoipa::path(
    post, path = "/v1/authorize", tag = "authorize", operation_id = "authorize", request_body = AuthorizeBody,
    responses((status = 200, description = "The call may go ahead", body = AllowedView))
)]
pub(crate) async fn authorize(
    State(server): State<Server>,
    caller: Caller,
    Strict(body): Strict<AuthorizeBody>,
) -> Result<Response, Problem> {
    let (customer, command) = body.command()?;
    let handle = HoldHandle {
        customer: customer.clone(),
        event: command.event.reference(),
    };
    let mode = command.mode;
    let done = server
        .command(&caller, &customer, Command::Authorize(command))
        .await?;
    match done.answer {
        Answer::Allowed(allowed) => {
            if !done.replayed {
                watch::decided("allowed", "");
            }
            let hold = allowed
                .expires
                .filter(|_| mode == AuthorizeMode::Hold)
                .map(|expires| HoldOpened {
                    id: handle.to_string(),
                    amounts: AssetAmount::list(&allowed.held),
                    expires_at: Time(expires),
                });
            let view = AllowedView {
                allowed: true,
                hold,
                quote: LineView::list(&allowed.quote),
                balance: BalanceView::list(&allowed.balances),
                revision: allowed.revision.into(),
                replayed: done.replayed,
            };
            Ok(answer(Made::done_unless(done.replayed), &view))
        }
        Answer::Denied(why) => {
            let problem = denied(&why, done.replayed);
            if !done.replayed {
                watch::decided("denied", problem.code().as_str());
            }
            Err(problem)
        }
        _ => Err(internal("authorize was answered like something else")),
    }
}
