//! `--watch`: the list, and then its changes.

use std::{future::ready, time::Duration};

use amigo_api::{Stored, TemporaryPermissionGrant};
use futures::{Stream, StreamExt as _, pin_mut};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher::{self, Event},
    },
};

use super::{
    changes::{Changes, key},
    listing::Listing,
    table::record,
};
use crate::{
    Exit, Failure, Session, Warnings,
    kubernetes::Kubernetes,
    output::{self, OutputFormat},
    stored_objects::left_out,
    table::Columns,
};

/// The longest time without a look at the clock.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Prints until the user ends the process.
pub(super) async fn run(listing: &Listing, kubernetes: &Kubernetes, session: &mut Session) -> Result<Exit, Failure> {
    let api: Api<Stored<TemporaryPermissionGrant>> = if listing.api.namespace().is_some() {
        Api::namespaced(kubernetes.watching.clone(), &kubernetes.namespace)
    } else {
        Api::all(kubernetes.watching.clone())
    };
    let (store, writer) = reflector::store();
    let warnings = session.warnings.clone();
    let events = watcher::watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(move |event| ready(readable(event, &warnings)))
        .reflect(writer);
    pin_mut!(events);
    let mut watch = Watch { listing, store, changes: Changes::new(listing.selection.clone()), columns: None };
    watch.begin(&mut events, kubernetes, session).await?;
    session.report_warnings();
    loop {
        let pause = watch.pause(session);
        tokio::select! {
            event = events.next() => watch.apply(event, session)?,
            () = tokio::time::sleep(pause) => {}
        }
        session.report_warnings();
        watch.print_changes(session)?;
    }
}

/// Warns of an unreadable request and leaves it out.
fn readable(
    event: watcher::Result<Event<Stored<TemporaryPermissionGrant>>>,
    warnings: &Warnings,
) -> Option<WatchEvent> {
    let read = |stored: Stored<TemporaryPermissionGrant>| {
        stored.0.inspect_err(|unreadable| warnings.add(left_out::<TemporaryPermissionGrant>(unreadable))).ok()
    };
    Some(Ok(match event {
        Err(error) => return Some(Err(error)),
        Ok(Event::Apply(object)) => Event::Apply(read(object)?),
        Ok(Event::Delete(object)) => Event::Delete(object.0.ok()?),
        Ok(Event::InitApply(object)) => Event::InitApply(read(object)?),
        Ok(Event::Init) => Event::Init,
        Ok(Event::InitDone) => Event::InitDone,
    }))
}

/// The watcher restarts a broken watch; a forbidden watch never starts.
fn tolerate(error: watcher::Error, session: &mut Session) -> Result<(), Failure> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) if is_refusal(&error) => {
            Err(Failure::from_kube("watch requests for access", &error))
        }
        // The API server no longer has the version: the watcher lists again.
        watcher::Error::WatchError(status) if status.code == 410 => Ok(()),
        error => {
            session.console.warn(&format!("watch failed; restarting: {error}"));
            Ok(())
        }
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404))
}

type WatchEvent = watcher::Result<Event<TemporaryPermissionGrant>>;

struct Watch<'a> {
    listing: &'a Listing,
    /// The requests of the API server.
    store: Store<TemporaryPermissionGrant>,
    changes: Changes,
    /// Set once the titles are printed.
    columns: Option<Columns>,
}

impl Watch<'_> {
    /// Reads the first list in full, to print it as one table.
    async fn begin(
        &mut self,
        events: &mut (impl Stream<Item = WatchEvent> + Unpin),
        kubernetes: &Kubernetes,
        session: &mut Session,
    ) -> Result<(), Failure> {
        loop {
            match events.next().await {
                Some(Ok(Event::InitDone)) => break,
                Some(Err(watcher::Error::InitialListFailed(error))) => {
                    return Err(Failure::from_kube("list requests for access", &error));
                }
                Some(Err(error)) => tolerate(error, session)?,
                Some(Ok(_)) => {}
                None => return Err(ended()),
            }
        }
        let objects = self.objects();
        if self.listing.format == OutputFormat::Name {
            return objects.iter().try_for_each(|object| self.print_name(object, session));
        }
        let rows = self.listing.selection.rows(&self.listing.selection.select(&objects), session.clock.now());
        let remote = self.listing.remote_rows(kubernetes, (&objects, &rows), session).await;
        self.changes.add_remote(remote);
        self.print_changes(session)
    }

    fn apply(&self, event: Option<WatchEvent>, session: &mut Session) -> Result<(), Failure> {
        match event {
            Some(Ok(Event::Apply(object) | Event::Delete(object))) if self.listing.format == OutputFormat::Name => {
                self.print_name(&object, session)
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => tolerate(error, session),
            None => Err(ended()),
        }
    }

    fn objects(&self) -> Vec<TemporaryPermissionGrant> {
        let mut objects: Vec<_> = self.store.state().iter().map(|object| (**object).clone()).collect();
        objects.sort_by_key(key);
        objects
    }

    fn print_name(&self, object: &TemporaryPermissionGrant, session: &mut Session) -> Result<(), Failure> {
        let mut all = self.objects();
        all.retain(|other| key(other) != key(object));
        all.push(object.clone());
        let selected = self.listing.selection.select(&all).iter().any(|one| key(one) == key(object));
        if selected && self.listing.selection.lists(object) {
            session.console.line(&output::name(object))?;
        }
        Ok(())
    }

    fn print_changes(&mut self, session: &mut Session) -> Result<(), Failure> {
        let now = session.clock.now();
        let objects = self.objects();
        let changes = self.changes.next(&objects, now);
        match self.listing.format {
            OutputFormat::Name => return Ok(()),
            format @ (OutputFormat::Json | OutputFormat::Yaml) => {
                for (row, _) in &changes {
                    session.console.data(&record(row, format, now)?)?;
                }
            }
            _ => {
                let shape = self.listing.shape;
                let cells: Vec<_> = changes.iter().map(|(row, state)| shape.cells(row, *state, now)).collect();
                let titled = self.columns.is_some();
                let columns = self.columns.get_or_insert_with(|| shape.columns());
                columns.fit(&cells);
                let head = if titled { String::new() } else { columns.head() };
                session.console.data(&(head + &columns.body(&cells)))?;
            }
        }
        for hint in self.changes.next_hints(&objects) {
            session.console.report(&hint);
        }
        Ok(())
    }

    /// The time until the next row expires.
    fn pause(&self, session: &Session) -> Duration {
        let now = session.clock.now();
        let until =
            self.changes.next_end(now).map(|end| Duration::try_from(now.duration_until(end)).unwrap_or_default());
        // A millisecond more: a timer that fires early would find no change.
        until.map_or(LONGEST_PAUSE, |until| until.min(LONGEST_PAUSE) + Duration::from_millis(1))
    }
}

fn ended() -> Failure {
    Failure::failed("the watch of requests ended")
}
