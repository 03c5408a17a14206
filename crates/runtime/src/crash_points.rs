//! Points at which a test ends the process, as a failed node does: before and after each effect. They exist only with the
//! feature `crash-points`, which no release build can have.

/// An effect between its two points: a request that changes something, or that a decision rests on.
#[must_use = "the point after the effect is part of it"]
pub struct Effect {
    #[cfg(feature = "crash-points")]
    name: String,
}

#[cfg(not(feature = "crash-points"))]
impl Effect {
    /// Passes the point before the effect.
    #[inline]
    pub fn begin(_name: impl FnOnce() -> String) -> Self {
        Self {}
    }

    /// Passes the point after the effect.
    #[inline]
    pub fn end(self) {}
}

#[cfg(feature = "crash-points")]
impl Effect {
    /// Passes the point before the effect.
    pub fn begin(name: impl FnOnce() -> String) -> Self {
        let name = name();
        enabled::pass(&format!("before {name}"));
        Self { name }
    }

    /// Passes the point after the effect.
    pub fn end(self) {
        enabled::pass(&format!("after {}", self.name));
    }
}

#[cfg(feature = "crash-points")]
mod enabled {
    use std::{
        collections::BTreeMap,
        env,
        fs::OpenOptions,
        io::Write as _,
        process,
        sync::{Mutex, PoisonError},
    };

    #[cfg(not(debug_assertions))]
    compile_error!("the feature crash-points is for tests: a release build must not have it");

    static PASSED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

    /// Appends the point, numbered by its passes, to the file in `AMIGO_CRASH_POINTS`. Aborts at the one in
    /// `AMIGO_CRASH_AT`.
    pub(super) fn pass(point: &str) {
        // Held while the process ends, so that no other thread passes a point meanwhile.
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let times = passed.entry(point.to_owned()).or_default();
        *times += 1;
        let point = format!("{point} #{times}");
        if let Some(path) = env::var_os("AMIGO_CRASH_POINTS") {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| writeln!(file, "{point}")).expect("a file of crash points");
        }
        if env::var("AMIGO_CRASH_AT").is_ok_and(|at| at == point) {
            process::abort();
        }
    }
}
