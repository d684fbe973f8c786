//! Work that goes on to its end though its caller goes away.

use crate::Fault;

/// Does something whose half is worse than nothing: it ends even if nobody waits for
/// it any more.
pub(crate) async fn to_the_end<T: Send + 'static>(
    what: &str,
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> Result<T, Fault> {
    told(what, tokio::spawn(work).await)
}

/// Does what reads and writes much, where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    told(what, tokio::task::spawn_blocking(work).await)
}

fn told<T>(what: &str, done: Result<Result<T, Fault>, tokio::task::JoinError>) -> Result<T, Fault> {
    done.unwrap_or_else(|panic| Err(Fault::caused(format!("{what} broke"), &panic)))
}
