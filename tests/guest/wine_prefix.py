"""A private Wine for the oracle: a prefix in a temporary folder, set to Windows 10, its services kept running until the end."""

import os
import shutil
import subprocess
import tempfile


def find_wine() -> str | None:
    return shutil.which("wine64") or shutil.which("/usr/lib/wine/wine64")


class WinePrefix:
    def __init__(self, wine: str):
        self.wine = wine
        self.folder = tempfile.mkdtemp(prefix="vitrine-wine.")
        hidden = ("DISPLAY", "WAYLAND_DISPLAY")
        self.env = {name: value for name, value in os.environ.items() if name not in hidden}
        self.env |= {"WINEPREFIX": self.folder, "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
        self.keeper = None

    def run(self, *command: str) -> None:
        subprocess.run([self.wine, *command], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)

    def __enter__(self) -> "WinePrefix":
        self.run("wineboot", "-i")
        self.run("reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
        # No debugger on an unhandled exception: its dump is not the program's output, and it would replace the exit code.
        self.run("reg", "add", r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug", "/v", "Debugger", "/d", "none", "/f")
        self.keep_alive()
        return self

    def keep_alive(self) -> None:
        """One waiting process, so that no measured program has to start Wine's services (and leave them its pipes)."""
        self.keeper = subprocess.Popen([self.wine, "cmd", "/c", "pause"], env=self.env, stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.keeper:
            self.keeper.stdin.close()
            self.keeper.wait()
            self.keeper = None
        self.run("wineboot", "-k")
        server = shutil.which("/usr/lib/wine/wineserver64") or shutil.which("wineserver")
        if server:
            subprocess.run([server, "-k", "-w"], env=self.env, stderr=subprocess.DEVNULL, check=False)

    def __exit__(self, *_) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
