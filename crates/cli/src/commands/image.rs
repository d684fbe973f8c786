//! `nestlab image`: what nodes boot from.

use crate::cli::ImageVerb;
use crate::context::Context;
use crate::error::{Code, Error};

pub fn run(_: &Context, _: ImageVerb) -> Result<u8, Error> {
    Err(Error::new(Code::Failed, "Not built in yet"))
}
