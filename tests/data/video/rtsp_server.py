"""An RTSP server of GStreamer, run by the Python of the system, whose packages it needs: `rtsp_server.py PORT`.

It plays a moving picture like a camera, to all clients the same, as H.264 at `/camera`, and writes its port.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
CAMERA = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph264pay config-interval=1 name=pay0 pt=96 )"
)
NEEDED = ("videotestsrc", "x264enc", "rtph264pay", "rtpbin")

if sys.argv[1] == "--check":
    missing = [name for name in NEEDED if Gst.ElementFactory.find(name) is None]
    sys.exit(f"missing: {missing}" if missing else 0)

server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(CAMERA)
factory.set_shared(True)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
sys.stdout.write(f"{server.get_bound_port()}\n")
sys.stdout.flush()
GLib.MainLoop().run()
