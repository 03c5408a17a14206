//! The kubeconfig, as kubectl reads it.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{MAIN_SEPARATOR, Path, PathBuf},
};

use kube::config::{AuthInfo, Kubeconfig};
use serde_json::Value;

use super::{Failure, options::ClusterOptions};

const VARIABLE: &str = "KUBECONFIG";

/// Reads the named file, else the files of `$KUBECONFIG`, else `~/.kube/config`. `None` if no file exists.
///
/// # Errors
/// When a file cannot be read, or the named file does not exist.
pub fn read(options: &ClusterOptions) -> Result<Option<Kubeconfig>, Failure> {
    if let Some(path) = &options.kubeconfig {
        let read = file(path)?;
        return read.map(Some).ok_or_else(|| Failure::failed(format!("kubeconfig {} does not exist", path.display())));
    }
    merge(&default_paths(env::var_os(VARIABLE).as_ref()))
}

fn default_paths(variable: Option<&OsString>) -> Vec<PathBuf> {
    let listed = variable.into_iter().flat_map(env::split_paths).filter(|path| !path.as_os_str().is_empty());
    let listed: Vec<_> = listed.collect();
    if listed.is_empty() { env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect() } else { listed }
}

/// Merges the files that exist. The first file that sets a value wins.
fn merge(paths: &[PathBuf]) -> Result<Option<Kubeconfig>, Failure> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths {
        let Some(next) = file(path)? else { continue };
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(|error| unreadable(path, &error.to_string()))?,
        });
    }
    Ok(merged)
}

fn unreadable(path: &Path, error: &str) -> Failure {
    Failure::failed(format!("cannot read kubeconfig {}: {error}", path.display()))
}

/// One file, with absolute paths. `None` if it does not exist.
fn file(path: &Path) -> Result<Option<Kubeconfig>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error.to_string())),
    };
    let mut kubeconfig = parse(&text).map_err(|error| unreadable(path, &error))?;
    let folder = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    make_absolute(&mut kubeconfig, &folder);
    Ok(Some(kubeconfig))
}

/// As kubectl does, accepts a key that is written twice: the last one counts.
fn parse(text: &str) -> Result<Kubeconfig, String> {
    if text.trim().is_empty() {
        return Ok(Kubeconfig::default());
    }
    let options =
        serde_saphyr::options! { with_snippet: false, duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    if value.is_null() {
        return Ok(Kubeconfig::default());
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Paths in a kubeconfig are relative to its folder.
fn make_absolute(kubeconfig: &mut Kubeconfig, folder: &Path) {
    let absolute = |path: &mut Option<String>| {
        if let Some(path) = path.as_mut().filter(|path| !path.is_empty()) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        absolute(&mut cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        absolute(&mut user.client_certificate);
        absolute(&mut user.client_key);
        absolute(&mut user.token_file);
        // A command without a separator is looked up in $PATH.
        let command = user.exec.as_mut().map(|exec| &mut exec.command);
        command.into_iter().filter(|command| is_path(command.as_deref())).for_each(absolute);
    }
}

fn is_path(command: Option<&str>) -> bool {
    command.is_some_and(|command| command.contains(MAIN_SEPARATOR))
}

/// Makes the token of a user usable in a header. A token file wins over a token, and blanks around its content do not
/// count.
///
/// # Errors
/// When the token cannot be part of a header.
pub fn settle_token(user: &mut AuthInfo) -> Result<(), Failure> {
    let file = user.token_file.as_ref().filter(|path| !path.is_empty());
    if let Some(text) = file.and_then(|path| fs::read_to_string(path).ok()) {
        // A file without blanks around its token can be read again, when the token is about to expire.
        user.token = (text != text.trim()).then(|| text.trim().into());
    }
    let token = user.token.as_ref().map(secrecy::ExposeSecret::expose_secret);
    if token.is_some_and(|token| !token.chars().all(|letter| letter.is_ascii() && !letter.is_control())) {
        let message =
            "cannot use the kubeconfig: the user's token contains a line break or another character that no token has";
        return Err(Failure::failed(message).advise("write the token in one line, or set tokenFile"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const GOOD: &str = "current-context: a\nclusters: [{name: c, cluster: {server: 'https://a', certificate-authority: ca.pem}}]\n\
                        users: [{name: u, user: {tokenFile: /token, exec: {command: ./login}}}]\n";

    fn files(contents: &[(&str, &str)]) -> (tempfile::TempDir, impl Fn(&[&str]) -> Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in contents {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let path = folder.path().to_owned();
        (folder, move |names: &[&str]| names.iter().map(|name| path.join(name)).collect())
    }

    #[test]
    fn missing_files_are_skipped() {
        let (_folder, paths) = files(&[("good", GOOD)]);
        let merged = merge(&paths(&["missing", "good"])).unwrap().unwrap();
        assert_eq!(merged.current_context.as_deref(), Some("a"));
        assert!(merge(&paths(&["missing"])).unwrap().is_none());
    }

    #[test]
    fn unreadable_file_is_an_error() {
        let (_folder, paths) = files(&[("good", GOOD), ("bad", "{ bad: ["), ("odd", "clusters: 7")]);
        for name in ["bad", "odd", "."] {
            let error = merge(&paths(&["good", name])).unwrap_err();
            assert!(error.message.starts_with("cannot read kubeconfig /"), "{error}");
        }
    }

    #[test]
    fn doubled_key_counts_once() {
        let (_folder, paths) = files(&[("twice", "current-context: b\ncurrent-context: a\n"), ("empty", "\n")]);
        let merged = merge(&paths(&["empty", "twice"])).unwrap().unwrap();
        assert_eq!(merged.current_context.as_deref(), Some("a"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let (folder, paths) = files(&[("good", GOOD)]);
        let read = file(&paths(&["good"])[0]).unwrap().unwrap();
        let expected = folder.path().join("ca.pem").to_string_lossy().into_owned();
        assert_eq!(read.clusters[0].cluster.as_ref().unwrap().certificate_authority, Some(expected));
        let user = read.auth_infos[0].auth_info.as_ref().unwrap();
        assert_eq!(user.token_file.as_deref(), Some("/token"));
        assert!(user.exec.as_ref().unwrap().command.as_ref().unwrap().starts_with('/'));
    }

    #[test]
    fn default_is_the_file_in_the_home_folder() {
        assert_eq!(default_paths(Some(&"a::b".into())), [PathBuf::from("a"), PathBuf::from("b")]);
        assert!(default_paths(Some(&"".into())).iter().all(|path| path.ends_with(".kube/config")));
    }

    #[test]
    fn token_file_is_trimmed() {
        let (_folder, paths) = files(&[("token", "abc\n"), ("clean", "abc")]);
        let user = |name: &str| {
            let token_file = Some(paths(&[name])[0].to_string_lossy().into_owned());
            let mut user = AuthInfo { token_file, token: Some("other".into()), ..AuthInfo::default() };
            settle_token(&mut user).map(|()| user.token.map(|token| token.expose_secret().to_owned()))
        };
        assert_eq!(user("token"), Ok(Some("abc".to_owned())));
        assert_eq!((user("clean"), user("missing")), (Ok(None), Ok(Some("other".to_owned()))));
    }

    #[test]
    fn token_with_a_line_break_is_refused() {
        for token in ["abc\n", "a\tb", "abcé"] {
            let mut user = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
            assert!(settle_token(&mut user).unwrap_err().message.contains("line break"), "{token:?}");
        }
    }
}
