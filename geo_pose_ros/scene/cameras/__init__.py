"""What is learned of the cameras while people move before them: noise, clocks, and extrinsic drift."""
