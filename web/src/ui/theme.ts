/** The look: cool neutrals, one blue, figures that line up. */
import { ActionIcon, createTheme, type MantineColorsTuple, Modal, Notification, Tooltip } from '@mantine/core';

const blue: MantineColorsTuple = [
  '#eef4ff',
  '#dbe6fd',
  '#b5cbf8',
  '#8baef3',
  '#6795ef',
  '#4f84ed',
  '#2f6bdc',
  '#1f5fbf',
  '#174c9c',
  '#0d3877',
];

/** That of danger: white is read on its deep shades (WCAG 1.4.3). */
const red: MantineColorsTuple = [
  '#fdeeec',
  '#f9d5d1',
  '#f2b0a9',
  '#ea8d83',
  '#dd5f53',
  '#d3473b',
  '#c6382d',
  '#b3261e',
  '#931f19',
  '#731813',
];

const dark: MantineColorsTuple = [
  '#e6eaf0',
  '#c3cad5',
  '#a3adbb',
  '#77839a',
  '#3d4757',
  '#2b3442',
  '#212834',
  '#181e27',
  '#11161d',
  '#0b0f14',
];

export const theme = createTheme({
  primaryColor: 'blue',
  primaryShade: { light: 7, dark: 6 },
  colors: { blue, red, dark },
  autoContrast: true,
  respectReducedMotion: true,
  defaultRadius: 'md',
  cursorType: 'pointer',
  fontFamily: '"Inter Variable", Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace',
  headings: {
    fontWeight: '650',
    sizes: { h1: { fontSize: '1.35rem' }, h2: { fontSize: '1rem' }, h3: { fontSize: '0.95rem' } },
  },
  components: {
    Modal: Modal.extend({ defaultProps: { overlayProps: { backgroundOpacity: 0.35 } } }),
    Notification: Notification.extend({ defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } }),
    ActionIcon: ActionIcon.extend({ defaultProps: { variant: 'subtle', color: 'gray' } }),
    // Below menus (300): what is said of a button is not over what it has opened.
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 300, withArrow: true, zIndex: 290 } }),
  },
});
