//! `--watch`: the listing, and then what changes.

use std::{collections::BTreeSet, time::Duration};

use amigo_api::TemporaryPermissionGrant;
use futures::{Stream, StreamExt as _, pin_mut};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};

use super::{
    Listing,
    follow::{Follow, key},
    table::record,
};
use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    output::{self, OutputFormat},
    table::Columns,
};

/// Without an end in sight the clock is looked at again after this.
const LONGEST_REST: Duration = Duration::from_hours(1);

/// Prints until somebody ends it.
pub(super) async fn run(listing: &Listing, kubernetes: &Kubernetes, session: &mut Session) -> Result<Exit, Failure> {
    let api: Api<TemporaryPermissionGrant> = if listing.api.namespace().is_some() {
        Api::namespaced(kubernetes.watching.clone(), &kubernetes.namespace)
    } else {
        Api::all(kubernetes.watching.clone())
    };
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    let mut screen = Screen { listing, follow: Follow::new(listing.selection.clone()), columns: None };
    screen.begin(&mut events, kubernetes, session).await?;
    let mut listed = BTreeSet::new();
    loop {
        let rest = screen.rest(session);
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => screen.take(event, &mut listed, session)?,
                Some(Err(error)) => endure(error, session)?,
                None => return Err(Failure::failed("the watch of requests ended")),
            },
            () = tokio::time::sleep(rest) => {}
        }
        screen.show(session)?;
    }
}

/// A watch that breaks begins anew by itself; one that is not permitted never begins.
fn endure(error: watcher::Error, session: &mut Session) -> Result<(), Failure> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) if is_refusal(&error) => {
            Err(Failure::of_kube("watch requests for access", &error))
        }
        // The API server forgets old versions: nothing is lost by listing again.
        watcher::Error::WatchError(status) if status.code == 410 => Ok(()),
        error => {
            session.console.warn(&format!("the watch is begun anew: {error}"));
            Ok(())
        }
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404))
}

struct Screen<'a> {
    listing: &'a Listing,
    follow: Follow,
    /// Once titles are printed.
    columns: Option<Columns>,
}

impl Screen<'_> {
    /// Reads the first listing whole, so that it is printed as one table.
    async fn begin(
        &mut self,
        events: &mut (impl Stream<Item = watcher::Result<Event<TemporaryPermissionGrant>>> + Unpin),
        kubernetes: &Kubernetes,
        session: &mut Session,
    ) -> Result<(), Failure> {
        loop {
            match events.next().await {
                Some(Ok(Event::InitApply(object))) => self.follow.see(object),
                Some(Ok(Event::InitDone)) => break,
                Some(Ok(_)) => {}
                Some(Err(watcher::Error::InitialListFailed(error))) => {
                    return Err(Failure::of_kube("list requests for access", &error));
                }
                Some(Err(error)) => endure(error, session)?,
                None => return Err(Failure::failed("the watch of requests ended")),
            }
        }
        let objects = self.follow.objects();
        if self.listing.format == OutputFormat::Name {
            for object in self.listing.selection.of(&objects) {
                self.show_name(object, session)?;
            }
            return Ok(());
        }
        let rows = self.listing.selection.rows(&self.listing.selection.of(&objects), session.clock.now());
        let beyond = self.listing.beyond(kubernetes, (&objects, &rows), session).await;
        self.follow.add_beyond(beyond);
        self.show(session)
    }

    fn take(
        &mut self,
        event: Event<TemporaryPermissionGrant>,
        listed: &mut BTreeSet<(String, String)>,
        session: &mut Session,
    ) -> Result<(), Failure> {
        let changed = match event {
            Event::Init => {
                listed.clear();
                None
            }
            Event::InitApply(object) => {
                listed.insert(key(&object));
                self.follow.see(object);
                None
            }
            Event::InitDone => {
                self.follow.keep(listed);
                None
            }
            Event::Apply(object) => {
                self.follow.see(object.clone());
                Some(object)
            }
            Event::Delete(object) => {
                self.follow.lose(&object);
                Some(object)
            }
        };
        match changed {
            Some(object) if self.listing.format == OutputFormat::Name => self.show_name(&object, session),
            _ => Ok(()),
        }
    }

    fn show_name(&self, object: &TemporaryPermissionGrant, session: &mut Session) -> Result<(), Failure> {
        let mut all = self.follow.objects();
        all.retain(|other| key(other) != key(object));
        all.push(object.clone());
        let own = self.listing.selection.of(&all).iter().any(|own| key(own) == key(object));
        if own && self.listing.selection.lists(object) {
            session.console.line(&output::name(object))?;
        }
        Ok(())
    }

    /// Prints what is new.
    fn show(&mut self, session: &mut Session) -> Result<(), Failure> {
        let now = session.clock.now();
        let changes = self.follow.changes(now);
        match (self.listing.format, self.listing.shape) {
            (OutputFormat::Name, _) => return Ok(()),
            (format @ (OutputFormat::Json | OutputFormat::Yaml), _) => {
                for (row, _) in &changes {
                    session.console.data(&record(row, format, now)?)?;
                }
            }
            (_, shape) => {
                let cells: Vec<_> = changes.iter().map(|(row, state)| shape.cells(row, *state, now)).collect();
                let titled = self.columns.is_some();
                let columns = self.columns.get_or_insert_with(|| shape.columns());
                columns.fit(&cells);
                let head = if titled { String::new() } else { columns.head() };
                session.console.data(&(head + &columns.body(&cells)))?;
            }
        }
        for hint in self.follow.hints() {
            session.console.tell(&hint);
        }
        Ok(())
    }

    fn rest(&self, session: &Session) -> Duration {
        let now = session.clock.now();
        let rest = self.follow.next_end(now).map(|end| Duration::try_from(now.duration_until(end)).unwrap_or_default());
        // A millisecond more: a timer that fires early would find nothing to tell.
        rest.map_or(LONGEST_REST, |rest| rest.min(LONGEST_REST) + Duration::from_millis(1))
    }
}
