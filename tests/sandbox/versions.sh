# Sourced: the versions of what judges the sandbox.
AMIGO_SDK=2.5.0
# The source archive of that SDK, which contains the API document.
AMIGO_SDK_SHA256=88106b9be8a5b09e2733b65d601dcf2c64064e22d3d828612c31e97e821f5258
SCHEMATHESIS=4.32.5
