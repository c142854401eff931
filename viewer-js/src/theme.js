// Colours that do not come from the scene. Spin and selection keep their hue in both themes.
export const THEMES = {
  light: {
    background: "#ffffff",
    text: "#1f2933",
    halo: "#ffffff",
    edge: "#5b6b7d",
    spin: "#c2255c",
    axis: "#12795a",
    select: "#1c6fd1",
    axes: ["#c92a2a", "#2b8a3e", "#1864ab"],
  },
  dark: {
    background: "#12161c",
    text: "#e6ebf1",
    halo: "#12161c",
    edge: "#8b9bb0",
    spin: "#ff5c93",
    axis: "#3ecf9a",
    select: "#58a9ff",
    axes: ["#ff7b7b", "#69db7c", "#74b8ff"],
  },
};

export const STYLE = `
.crystal { position: relative; width: 100%; height: 100%; min-height: 120px; overflow: hidden;
  border-radius: 6px; outline: none; touch-action: none; user-select: none;
  font: 13px/1.35 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.crystal:focus-visible { box-shadow: inset 0 0 0 2px var(--select); }
.crystal canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.crystal canvas.labels { pointer-events: none; }
.crystal .tip { position: absolute; left: 0; top: 0; pointer-events: none; padding: 3px 8px;
  border-radius: 5px; background: var(--text); color: var(--background); white-space: nowrap;
  opacity: 0; transition: opacity 80ms; }
.crystal .tip small { opacity: 0.75; margin-left: 6px; font-variant-numeric: tabular-nums; }
.crystal .bar { position: absolute; top: 8px; right: 8px; display: flex; flex-direction: column;
  gap: 2px; opacity: 0.55; transition: opacity 120ms; }
.crystal:hover .bar, .crystal:focus-within .bar { opacity: 1; }
.crystal .bar button { all: unset; box-sizing: border-box; min-width: 26px; height: 26px;
  padding: 0 6px; text-align: center; line-height: 26px; border-radius: 5px; cursor: pointer;
  color: var(--text); background: color-mix(in srgb, var(--text) 7%, var(--background)); }
.crystal .bar button:hover { background: color-mix(in srgb, var(--text) 16%, var(--background)); }
.crystal .bar button:focus-visible { box-shadow: 0 0 0 2px var(--select); }
.crystal .bar button[aria-pressed="true"] { color: var(--background); background: var(--text); }
.crystal .note { position: absolute; inset: 0; display: grid; place-items: center; padding: 24px;
  text-align: center; color: var(--text); }
`;
