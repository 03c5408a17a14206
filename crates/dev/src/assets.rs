//! Where the programs of the control plane are: a ready-made folder, or one built from Go modules.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// A folder that holds `etcd`, `kube-apiserver` and `kubectl`.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// The folder named by `KUBEBUILDER_ASSETS`, else the one `build_script` builds (minutes, once) and prints.
    ///
    /// # Errors
    /// When a program is missing from the folder, or the script cannot build them; the script says what it needs.
    pub async fn find(build_script: &Path) -> Result<Self, AssetsError> {
        match env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::in_folder(folder),
            None => Self::build(build_script).await,
        }
    }

    /// Programs that are there already.
    ///
    /// # Errors
    /// When one of them is missing.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Result<Self, AssetsError> {
        let folder = folder.into();
        match PROGRAMS.into_iter().find(|program| !folder.join(program).is_file()) {
            Some(program) => Err(AssetsError::Missing { folder, program }),
            None => Ok(Self { folder }),
        }
    }

    /// The kubectl of the same release as the API server.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub(super) fn kube_apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    async fn build(script: &Path) -> Result<Self, AssetsError> {
        let output = Command::new("sh")
            .arg(script)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| AssetsError::Script { script: script.to_owned(), source })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(AssetsError::Build { script: script.to_owned(), said });
        }
        Self::in_folder(String::from_utf8_lossy(&output.stdout).trim())
    }
}

/// Why there is no control plane to start.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// The folder lacks a program.
    #[error("{} has no program '{program}'; it needs {}", folder.display(), PROGRAMS.join(", "))]
    Missing {
        /// The folder looked into.
        folder: PathBuf,
        /// The first program that is missing.
        program: &'static str,
    },
    /// The build script could not be run.
    #[error("cannot run {}: {source}", script.display())]
    Script {
        /// The script.
        script: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The build script failed, for example because Go is not installed.
    #[error("{} failed: {said}", script.display())]
    Build {
        /// The script.
        script: PathBuf,
        /// What it wrote to standard error.
        said: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_programs_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("etcd"), "").unwrap();
        let error = Assets::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no program 'kube-apiserver'"), "{error}");
    }

    #[tokio::test]
    async fn a_failing_build_hands_on_what_the_script_said() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("build.sh");
        std::fs::write(&script, "echo 'Go is not installed' >&2; exit 1").unwrap();
        let error = Assets::build(&script).await.unwrap_err().to_string();
        assert!(error.ends_with("failed: Go is not installed"), "{error}");
    }
}
