// The meeting app: it runs in every page that the server gives for / and /r/{room}.

import { render } from "preact";
import { openAddress } from "./state/app.js";
import { watchFullScreen } from "./state/full-screen.js";
import { findOrigin } from "./state/link.js";
import { watchOrientation } from "./state/view.js";
import { App } from "./ui/app.js";

const root = document.getElementById("app");
if (root) {
  watchFullScreen();
  watchOrientation();
  void findOrigin();
  openAddress();
  addEventListener("popstate", openAddress);
  // A page that the browser kept for "back" has left its call.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) openAddress();
  });
  render(<App />, root);
}
