//! A live table of grants with a countdown.

use std::io::{self, IsTerminal as _, Write as _};

use amigo_api::{TemporaryPermissionGrant, conditions, reasons::condition};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kubectl_amigo::table::{columns, countdown};

/// Redraws the table in place on a terminal. Elsewhere it prints the table when more than the countdown changes.
#[derive(Default)]
pub struct LiveTable {
    lines: usize,
    last: String,
}

impl LiveTable {
    pub fn draw(&mut self, grants: &[TemporaryPermissionGrant], now: Timestamp) -> io::Result<()> {
        let table = render(grants, now);
        let mut out = io::stdout();
        if out.is_terminal() {
            if self.lines > 0 {
                // Move to the first line of the table and clear the screen from there.
                write!(out, "\x1b[{}A\x1b[J", self.lines)?;
            }
            self.lines = table.lines().count();
            write!(out, "{table}")?;
        } else {
            let without_countdown: String =
                table.lines().map(|line| line.rsplit_once(' ').map_or(line, |(rest, _)| rest)).collect();
            if without_countdown != self.last {
                self.last = without_countdown;
                write!(out, "{table}")?;
            }
        }
        out.flush()
    }
}

/// One line per grant, sorted by name.
fn render(grants: &[TemporaryPermissionGrant], now: Timestamp) -> String {
    if grants.is_empty() {
        return "  No grants\n".to_owned();
    }
    let mut grants: Vec<_> = grants.iter().collect();
    grants.sort_by_key(|grant| grant.name_any());
    let rows: Vec<_> = grants.into_iter().map(|grant| row(grant, now)).collect();
    let table = columns(["NAME", "USER", "PHASE", "STATUS", "ENDS IN"], &rows);
    table.split_inclusive('\n').flat_map(|line| ["  ", line]).collect()
}

fn row(grant: &TemporaryPermissionGrant, now: Timestamp) -> [String; 5] {
    let status = grant.status.clone().unwrap_or_default();
    let ready = conditions::find(&status.conditions, condition::READY);
    [
        grant.name_any(),
        grant.spec.user.label().to_owned(),
        status.phase.map(|phase| format!("{phase:?}")).unwrap_or_default(),
        ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
        status.expires_at.map(|end| countdown(end, now)).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use amigo_api::{Phase, TemporaryPermissionGrantSpec, TemporaryPermissionGrantStatus, UserReference};

    use super::*;

    #[test]
    fn active_grant_shows_the_countdown() {
        let user = UserReference { email: Some("eng@example.com".to_owned()), user_id: None };
        let mut grant =
            TemporaryPermissionGrant::new("one", TemporaryPermissionGrantSpec { user, ..Default::default() });
        let now = Timestamp::from_second(1_000_000).unwrap();
        let expires_at = Some(Timestamp::from_second(1_000_065).unwrap());
        grant.status =
            Some(TemporaryPermissionGrantStatus { phase: Some(Phase::Active), expires_at, ..Default::default() });
        let lines: Vec<String> = render(&[grant], now).lines().map(str::to_owned).collect();
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["one", "eng@example.com", "Active", "-", "1m05s"]);
    }
}
