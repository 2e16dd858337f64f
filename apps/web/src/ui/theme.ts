import { Alert, createTheme, type MantineColorsTuple } from '@mantine/core';

const steel: MantineColorsTuple = [
  '#eaf3fb',
  '#d3e4f3',
  '#a6c8e6',
  '#77aad9',
  '#5091ce',
  '#3881c7',
  '#2a78c4',
  '#1c66ad',
  '#125b9c',
  '#004e8a',
];
const night: MantineColorsTuple = [
  '#d3d8e2',
  '#b4bccb',
  '#929cae',
  '#6c7689',
  '#3d4657',
  '#2b3342',
  '#212836',
  '#171d29',
  '#111621',
  '#0b0f18',
];

export const theme = createTheme({
  primaryColor: 'steel',
  primaryShade: { light: 7, dark: 5 },
  colors: { steel, dark: night },
  defaultRadius: 'sm',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  headings: {
    fontWeight: '600',
    sizes: { h1: { fontSize: '1.25rem' }, h2: { fontSize: '1rem' }, h3: { fontSize: '0.875rem' } },
  },
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'xs' } },
    PasswordInput: { defaultProps: { size: 'xs' } },
    NumberInput: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs' } },
    Switch: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    Badge: { defaultProps: { size: 'sm', variant: 'light', radius: 'sm', tt: 'none' } },
    Tooltip: { defaultProps: { openDelay: 300, multiline: true, maw: 360, withArrow: true } },
    Modal: { defaultProps: { centered: true } },
    Alert: Alert.extend({
      defaultProps: { variant: 'outline' },
      styles: (_theme, { color }) => ({
        root: { borderLeftColor: `var(--mantine-color-${color}-6)` },
        icon: { color: `var(--mantine-color-${color}-6)` },
      }),
    }),
  },
});

/** Colours of lines: told apart by people who see red and green alike, on white and on black. */
export const lineColors = [
  '#3987cf',
  '#e08a1e',
  '#2fa67a',
  '#c2557e',
  '#8c6fd1',
  '#b3a125',
  '#45b1c9',
  '#d2603a',
  '#7a8799',
  '#5f9e3a',
] as const;

export function lineColor(index: number): string {
  return lineColors[index % lineColors.length] ?? lineColors[0];
}
