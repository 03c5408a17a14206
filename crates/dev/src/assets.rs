//! Finds the programs of the control plane in an existing folder, or builds them from Go modules.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// A folder with `etcd`, `kube-apiserver` and `kubectl`.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// The folder in `KUBEBUILDER_ASSETS`. Without it, `build_script` builds one, which takes minutes the first time.
    ///
    /// # Errors
    /// If the folder lacks a program, or the script fails.
    pub async fn find(build_script: &Path) -> Result<Self, AssetsError> {
        match env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::in_folder(folder),
            None => Self::build(build_script).await,
        }
    }

    /// Uses an existing folder.
    ///
    /// # Errors
    /// If the folder lacks a program.
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
            let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(AssetsError::Build { script: script.to_owned(), stderr });
        }
        Self::in_folder(String::from_utf8_lossy(&output.stdout).trim())
    }
}

/// A failure to find or build the programs.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    #[error("{} has no program '{program}'; it must contain {}", folder.display(), PROGRAMS.join(", "))]
    Missing { folder: PathBuf, program: &'static str },
    #[error("cannot run {}: {source}", script.display())]
    Script { script: PathBuf, source: io::Error },
    #[error("{} failed: {stderr}", script.display())]
    Build { script: PathBuf, stderr: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_folder_names_the_missing_program() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("etcd"), "").unwrap();
        let error = Assets::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no program 'kube-apiserver'"), "{error}");
    }

    #[tokio::test]
    async fn failed_build_reports_the_script_output() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("build.sh");
        std::fs::write(&script, "echo 'Go is not installed' >&2; exit 1").unwrap();
        let error = Assets::build(&script).await.unwrap_err().to_string();
        assert!(error.ends_with("failed: Go is not installed"), "{error}");
    }
}
