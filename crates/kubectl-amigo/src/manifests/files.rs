//! Which files `-f` means, as for kubectl: files, folders, `-`.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::Failure;

/// The endings of manifests in a folder.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// `-f` and `-R`.
#[derive(Args, Clone, Debug, Default)]
pub struct FileOptions {
    /// A manifest, a folder of manifests (*.yaml, *.yml, *.json), or - for stdin; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    pub files: Vec<String>,
    /// Look into the folders of folders too.
    #[arg(short = 'R', long, requires = "files")]
    pub recursive: bool,
}

/// The text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file as the user named it, or `stdin`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl FileOptions {
    /// The texts of all files named, each once, those of a folder by name.
    ///
    /// # Errors
    /// When one cannot be read, or a folder holds no manifest.
    pub fn sources(&self) -> Result<Vec<Source>, Failure> {
        self.sources_where(|_| false)
    }

    /// As [`FileOptions::sources`], and from all folders below those named, the files for which `wanted` holds.
    ///
    /// # Errors
    /// When one cannot be read, or a folder holds no manifest.
    pub fn sources_where(&self, wanted: fn(&str) -> bool) -> Result<Vec<Source>, Failure> {
        let mut sources = Vec::new();
        let mut seen = Vec::new();
        for name in &self.files {
            if name == "-" {
                sources.push(of_stdin()?);
                continue;
            }
            let path = Path::new(name);
            let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            let found = if metadata.is_dir() { self.manifests_of(path, wanted)? } else { vec![path.to_owned()] };
            for file in found {
                let identity = fs::canonicalize(&file).map_err(|error| unreadable(&file, &error))?;
                if !seen.contains(&identity) {
                    seen.push(identity);
                    sources.push(of_file(&file)?);
                }
            }
        }
        Ok(sources)
    }

    fn manifests_of(&self, folder: &Path, wanted: fn(&str) -> bool) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        let mut folders = vec![(folder.to_owned(), true)];
        while let Some((folder, outermost)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
                let entry = entry.map_err(|error| unreadable(&folder, &error))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // Not through links to folders, which may lead around in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push((entry.path(), false));
                } else if is_manifest(&entry.path()) && (self.recursive || outermost || wanted(&name)) {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        if found.is_empty() {
            return Err(Failure::usage(format!("{} holds no *.yaml, *.yml or *.json", folder.display()))
                .advise("name another folder, or look into its folders with -R"));
        }
        Ok(found)
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending))
}

fn of_stdin() -> Result<Source, Failure> {
    let mut text = String::new();
    let read = io::stdin().read_to_string(&mut text);
    read.map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?;
    Ok(Source { name: "stdin".to_owned(), text })
}

fn of_file(path: &Path) -> Result<Source, Failure> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}
