//! URLs of the web console: the conversation and the organization that a page belongs to.

use std::net::Ipv6Addr;

use http::Uri;

use super::{ConversationReference, OrganizationSpec};

/// The ID of the conversation in the URL of a console page: 24 hexadecimal digits after `/admin/conversation/` (guide
/// to
/// temporary grants, "Request Access").
#[must_use]
pub fn conversation_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("/admin/conversation/")?;
    rest.split(['/', '?', '#']).next().filter(|id| is_conversation_id(id))
}

/// Whether a text has the format of a conversation ID: 24 lowercase hexadecimal digits.
#[must_use]
pub fn is_conversation_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The [`normal_authority`] of a URL without user information.
#[must_use]
pub fn host(url: &str) -> Option<String> {
    let uri = url.parse::<Uri>().ok()?;
    let authority = uri.authority()?;
    // User information would be part of another host's URL.
    if authority.as_str().contains('@') {
        return None;
    }
    Some(normal_authority(&uri))
}

/// Host and port of a URL in a form that is equal for all spellings: lowercase, without the dot at the end of a host,
/// without the default port of the scheme, and with the shortest form of an IPv6 address.
#[must_use]
pub fn normal_authority(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let number: Option<Ipv6Addr> = host.trim_matches(['[', ']']).parse().ok();
    let host = number.map_or_else(|| host.to_owned(), |number| format!("[{number}]"));
    let default = if uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")) { 80 } else { 443 };
    match uri.port_u16().filter(|port| *port != default) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

impl OrganizationSpec {
    /// The base URL of the organization's console.
    #[must_use]
    pub fn console(&self) -> String {
        self.console_url.clone().unwrap_or_else(|| format!("https://{}.amigo.ai", self.organization))
    }

    /// Whether a URL is a page of the organization's console, by its host.
    #[must_use]
    pub fn has_page(&self, url: &str) -> bool {
        host(url).is_some_and(|host_of_url| Some(host_of_url) == host(&self.console()))
    }
}

impl ConversationReference {
    /// The ID of the conversation whose owner the operator must look up, if there is one.
    #[must_use]
    pub fn conversation_id(&self) -> Option<&str> {
        self.id.as_deref().or_else(|| self.url.as_deref().and_then(conversation_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abc123def456abc123def456";

    #[test]
    fn conversation_of_reads_the_id_in_the_path() {
        for tail in ["", "/", "?tab=insights", "#last"] {
            assert_eq!(conversation_of(&format!("https://acme.amigo.ai/admin/conversation/{ID}{tail}")), Some(ID));
        }
        assert_eq!(conversation_of("https://acme.amigo.ai/admin/conversation/abc123"), None);
        assert_eq!(conversation_of(&format!("https://acme.amigo.ai/conversation/{ID}")), None);
    }

    #[test]
    fn default_port_and_trailing_dot_are_the_same_host() {
        for same in [
            "https://acme.amigo.ai:443/x",
            "https://ACME.amigo.ai./x",
            "http://acme.amigo.ai:80",
            "https://acme.amigo.ai:",
        ] {
            assert_eq!(host(same).as_deref(), Some("acme.amigo.ai"), "{same}");
        }
        assert_eq!(host("https://acme.amigo.ai:8443/x").as_deref(), Some("acme.amigo.ai:8443"));
        assert_eq!(host("http://[::1]:443/x").as_deref(), Some("[::1]:443"));
        assert_eq!(host("https://acme.amigo.ai@evil.example/x"), None);
    }

    #[test]
    fn has_page_compares_hosts() {
        let acme = OrganizationSpec { organization: "acme".to_owned(), ..OrganizationSpec::default() };
        assert!(acme.has_page("https://ACME.amigo.ai/admin"));
        assert!(!acme.has_page("https://acme.amigo.ai.evil.example/admin"));
        assert!(!acme.has_page("not a url"));
    }

    #[test]
    fn thirty_hostile_pages_name_no_conversation() {
        let acme = OrganizationSpec { organization: "acme".to_owned(), ..OrganizationSpec::default() };
        let conversation = |url: &str| if acme.has_page(url) { conversation_of(url).map(str::to_owned) } else { None };
        let other_hosts = [
            "",
            "//",
            "https://",
            "https:///",
            "https://other.amigo.ai",
            "https://amigo.ai",
            "https://acme.amigo.ai.evil.example",
            "https://evil.example/acme.amigo.ai",
            "https://evil.example?https://acme.amigo.ai",
            "https://evil.example#https://acme.amigo.ai",
            "https://acme.amigo.ai@evil.example",
            "https://acme.amigo.ai:443@evil.example",
            "https://evil@acme.amigo.ai",
            "https://acme.amigo.ai%40evil.example",
            "https://acme.amigo.ai%2eevil.example",
            "https://evil.example\\@acme.amigo.ai",
            "https://acme.amigo.ai\\.evil.example",
            "https://acme.amigo.ai:8443",
            "https://acme.amigo.ai..",
            "https://acme.am\u{456}go.ai",
            "https://acme.amigo.ai\u{200b}",
            "https://acme.amigo.ai\n.evil.example",
            "https://xacme.amigo.ai",
        ];
        for host in other_hosts {
            assert_eq!(conversation(&format!("{host}/admin/conversation/{ID}")), None, "{host:?}");
        }
        let other_pages = [
            "conversation/".to_owned() + ID,
            format!("admin/conversations/{ID}"),
            format!("admin%2fconversation%2f{ID}"),
            format!("admin/conversation//{ID}"),
            format!("admin/conversation/../{ID}"),
            format!("admin/conversation/{ID}0"),
            format!("admin/conversation/{}", &ID[1..]),
            format!("admin/conversation/{}", ID.to_uppercase()),
            format!("admin/conversation/{}", ID.replace('a', "g")),
            format!("admin/conversation/{}", ID.replace('a', "%61")),
            format!("admin/conversation/{}", ID.replacen('a', "\u{430}", 1)),
            format!("admin/conversation/{ID}&id={ID}"),
        ];
        for path in other_pages {
            assert_eq!(conversation(&format!("https://acme.amigo.ai/{path}")), None, "{path:?}");
        }
        assert_eq!(conversation(&format!("https://acme.amigo.ai/admin/conversation/{ID}")).as_deref(), Some(ID));
    }
}
