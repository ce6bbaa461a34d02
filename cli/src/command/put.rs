//! `put`

use kvorum_client::KeyRange;

use super::remember::remember;
use super::{CommandError, Session, plan};
use crate::args::{PutArgs, PutRequest, UsageError};
use crate::output::Answer;

pub(super) async fn execute(args: &PutArgs, session: &mut Session) -> Result<(), CommandError> {
    let put = match args.request()? {
        PutRequest::Ready(put) => put,
        PutRequest::NeedsValue(mut put) => {
            put.value = session.input.rest().await?;
            if put.value.is_empty() {
                return Err(UsageError::arguments(PutArgs::NEEDS).into());
            }
            put
        }
    };
    if session.manner.dry_run {
        return plan::put(&put, session).await;
    }
    let touched = [KeyRange::single(put.key.clone())];
    let answer = session.connection.put(put).await?;
    remember("put", answer.header.as_ref(), &touched, session);
    session.print(Answer::Put(&answer))
}
