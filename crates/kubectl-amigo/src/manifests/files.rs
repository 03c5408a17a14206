//! The files of `-f`, as in kubectl: files, folders, `-`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::Failure;

/// The file extensions of manifests in a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// `-f` and `-R`.
#[derive(Args, Clone, Debug, Default)]
pub struct FileOptions {
    /// A manifest, a folder of manifests (*.yaml, *.yml, *.json), or - for stdin. Repeatable.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    pub files: Vec<String>,
    /// Search subfolders too.
    #[arg(short = 'R', long, requires = "files")]
    pub recursive: bool,
}

/// A file and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The file as the user named it, or `stdin`.
    pub name: String,
    pub text: String,
}

impl FileOptions {
    /// Reads each file once, those of a folder in order of their names.
    ///
    /// # Errors
    /// When a file cannot be read, or a folder contains no manifest.
    pub fn sources(&self) -> Result<Vec<SourceFile>, Failure> {
        self.sources_and(|_| false)
    }

    /// Like [`FileOptions::sources`], plus the files of all subfolders whose name `include` selects.
    ///
    /// # Errors
    /// When a file cannot be read, or a folder contains no manifest.
    pub fn sources_and(&self, include: fn(&str) -> bool) -> Result<Vec<SourceFile>, Failure> {
        let mut sources = Vec::new();
        let mut seen = Vec::new();
        for name in &self.files {
            if name == "-" {
                sources.push(SourceFile::from_stdin()?);
                continue;
            }
            let path = Path::new(name);
            let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            let files = if metadata.is_dir() { self.manifests_in(path, include)? } else { vec![path.to_owned()] };
            for file in files {
                let identity = fs::canonicalize(&file).map_err(|error| unreadable(&file, &error))?;
                if !seen.contains(&identity) {
                    seen.push(identity);
                    sources.push(SourceFile::from_path(&file)?);
                }
            }
        }
        Ok(sources)
    }

    fn manifests_in(&self, folder: &Path, include: fn(&str) -> bool) -> Result<Vec<PathBuf>, Failure> {
        let mut manifests = Vec::new();
        let mut folders = vec![(folder.to_owned(), true)];
        while let Some((folder, outermost)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
                let entry = entry.map_err(|error| unreadable(&folder, &error))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // Links to folders are not followed, because they may form a cycle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push((entry.path(), false));
                } else if is_manifest(&entry.path()) && (self.recursive || outermost || include(&name)) {
                    manifests.push(entry.path());
                }
            }
        }
        manifests.sort();
        if manifests.is_empty() {
            return Err(Failure::usage(format!("{} contains no *.yaml, *.yml or *.json file", folder.display()))
                .advise("choose another folder, or search subfolders with -R"));
        }
        Ok(manifests)
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| EXTENSIONS.contains(&extension))
}

impl SourceFile {
    fn from_stdin() -> Result<Self, Failure> {
        let text =
            io::read_to_string(io::stdin()).map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?;
        Ok(Self { name: "stdin".to_owned(), text })
    }

    fn from_path(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self { name: path.display().to_string(), text })
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}
