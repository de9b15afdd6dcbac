//! AUTH (MQTT 5, 3.15).

use super::bytes::Cursor;
use super::properties::{MISPLACED, Properties, id};
use super::{DecodeError, ReasonCode, UserProperties};

/// A step of an authentication beyond user name and password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Auth<'b> {
    /// Where it stands.
    pub reason: ReasonCode,
    /// How it is done.
    pub method: Option<&'b str>,
    /// What goes with it.
    pub data: Option<&'b [u8]>,
    /// The reason in words.
    pub reason_string: Option<&'b str>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
}

// === impl Auth ===

impl<'b> Auth<'b> {
    pub(super) fn decode(mut body: Cursor<'b>) -> Result<Self, DecodeError> {
        let mut auth = Self::default();
        if body.is_empty() {
            return Ok(auth);
        }
        use ReasonCode as R;
        let reason = ReasonCode::from_u8(body.u8()?).filter(|reason| {
            matches!(reason, R::Success | R::ContinueAuthentication | R::ReAuthenticate)
        });
        auth.reason = reason.ok_or(DecodeError::protocol("a reason that AUTH cannot have"))?;
        let mut properties = Properties::take(&mut body)?;
        auth.user_properties = UserProperties::of(properties.block);
        while let Some(id) = properties.next()? {
            match id {
                id::AUTHENTICATION_METHOD => auth.method = Some(properties.cursor.text()?),
                id::AUTHENTICATION_DATA => auth.data = Some(properties.cursor.binary()?),
                id::REASON_STRING => auth.reason_string = Some(properties.cursor.text()?),
                id::USER_PROPERTY => properties.pass_user()?,
                _ => return Err(MISPLACED),
            }
        }
        body.finish()?;
        Ok(auth)
    }
}
