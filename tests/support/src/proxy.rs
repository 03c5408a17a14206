//! What the proxies before the API server share.

use axum::Router;
use serde_json::json;
use tokio::net::TcpListener;

/// Serves until the test's runtime ends. Returns the kubeconfig of a client, which needs no credentials: the proxy has some.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy serves") });
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    })
    .to_string()
}
